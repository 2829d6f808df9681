// Prometheus' own parser and engine judge the alert rules: each fires on the series that mean what it says, and none where all is well.
package alerts

import (
	"context"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

const rulesFile = "../../../charts/espalier-issuer/files/alerts.yaml"

// What is scraped of an issuer and an agent that are well, with a minute between two values.
const well = `
  espalier_issuer_ledger_epoch{instance="i1"} 3x800
  espalier_issuer_ledger_epoch{instance="i2"} 0x800
  espalier_issuer_authority_life_left{kind="tenant",owner="shop"} 0.7x800
  espalier_issuer_authority_life_left{kind="root",owner="main"} 0.9x800
  espalier_issuer_authorities_waiting{instance="i1"} 0x800
  espalier_issuer_rotation_waiting{kind="root",owner="main",phase="prepared",what="leaves",instance="i1"} 900-1x800
  espalier_issuer_rotation_waiting{kind="root",owner="main",phase="prepared",what="agent",instance="i1"} 1x500 0x300
  espalier_issuer_rotation_waiting{kind="hub",owner="hub",phase="prepared",what="door",instance="i1"} 2x800
  espalier_issuer_crl_life_left{kind="tenant",owner="shop",instance="i1"} 0.6x800
  espalier_issuer_suspension_lag_seconds{instance="i1"} 3x800
  espalier_issuer_serving_expiry_seconds{instance="i1"} 400000x800
  espalier_issuer_ledger_unplaced{instance="i1"} 12x800
  espalier_issuer_ledger_unplaced{instance="i2"} 12x800
  espalier_issuer_ledger_failed_writes{instance="i1"} 7x800
  espalier_issuer_records_dropped{instance="i1"} 0x800
  espalier_issuer_database_clock_ahead_seconds{instance="i1"} -0.2x800
  espalier_issuer_resources_refused{instance="i1"} 0x800
  espalier_issuer_not_ready{instance="i1",kind="tenant"} 0x800
  espalier_issuer_not_ready{instance="i1",kind="cluster"} 0x800
  espalier_issuer_key_proposals{instance="i1"} 0x800
  espalier_issuer_refused_total{code="quota",tenant="shop",cluster="east"} 0+3x800
  espalier_issuer_refused_total{code="unavailable",tenant="shop",cluster="east"} 2x800
  espalier_issuer_refused_total{code="role-missing",tenant="",cluster=""} 1x800
  espalier_issuer_refused_total{code="internal",tenant="",cluster="east"} 1x800
  espalier_issuer_connections_limited{instance="i1"} 4x800
  espalier_agent_first_expiry_seconds{instance="a1"} 43000x800
  espalier_agent_issuer_connections{instance="a1"} 2x800
  espalier_agent_certificate_expiry_seconds{instance="a1",certificate="agent"} 50000x800
  espalier_agent_certificate_expiry_seconds{instance="a1",certificate="serving"} 500000x800
  citadel_server_root_cert_expiry_seconds{instance="a1"} 90000000x800
  espalier_agent_token_keys_missing{instance="a1"} 0x800
  espalier_agent_trust_conflicts{instance="a1"} 0x800
  espalier_agent_trust_refused{instance="a1"} 0x800
  espalier_agent_trust_overwritten_total{instance="a1"} 3x800
  espalier_agent_requests_oldest_seconds{instance="a1",door="csr",reason=""} 3x800
  espalier_agent_requests_oldest_seconds{instance="a1",door="csr",reason="IssuerNotFound"} 0+60x800
  espalier_agent_connections_limited{instance="a1"} 0x800
`

// What has to be scraped for an alert to fire: series, and the labels that the alert then has beside its own.
var fires = map[string]struct {
	series string
	labels map[string]string
}{
	"EspalierNoIssuer":                    {"  other 1x800", nil},
	"EspalierAuthorityWithoutSuccessor":   {`  espalier_issuer_authority_life_left{kind="tenant",owner="shop",instance="i1"} 0.3x800`, map[string]string{"owner": "shop"}},
	"EspalierAuthorityEnds":               {`  espalier_issuer_authority_life_left{kind="tenant",owner="shop",instance="i1"} 0.05x800`, map[string]string{"owner": "shop"}},
	"EspalierAuthorityWaits":              {`  espalier_issuer_authorities_waiting{instance="i1"} 1x800`, nil},
	"EspalierCrlNotRenewed":               {`  espalier_issuer_crl_life_left{kind="tenant",owner="shop",instance="i1"} 0.3x800`, map[string]string{"owner": "shop"}},
	"EspalierCrlEnds":                     {`  espalier_issuer_crl_life_left{kind="root",owner="main",instance="i1"} 0.09x800`, map[string]string{"kind": "root", "owner": "main"}},
	"EspalierSuspensionNotCopied":         {`  espalier_issuer_suspension_lag_seconds{instance="i1"} 0x750 60+60x49`, nil},
	"EspalierRotationBlind":               {`  espalier_issuer_rotation_waiting{kind="root",owner="main",phase="prepared",what="door",instance="i1"} 2x800`, map[string]string{"owner": "main"}},
	"EspalierRotationUnacknowledged":      {`  espalier_issuer_rotation_waiting{kind="root",owner="main",phase="prepared",what="agent",instance="i1"} 1x800`, map[string]string{"owner": "main"}},
	"EspalierRootNearItsEnd":              {`  espalier_issuer_authority_life_left{kind="serving",owner="east",instance="i1"} 0.19x800`, map[string]string{"kind": "serving", "owner": "east"}},
	"EspalierRootEnds":                    {`  espalier_issuer_authority_life_left{kind="hub",owner="hub",instance="i1"} 0.01x800`, map[string]string{"kind": "hub"}},
	"EspalierIssuerCertificateNotRenewed": {`  espalier_issuer_serving_expiry_seconds{instance="i1"} 170000-60x800`, map[string]string{"instance": "i1"}},
	"EspalierNobodyLeads":                 {"  espalier_issuer_ledger_epoch{instance=\"i1\"} 0x800\n  espalier_issuer_ledger_epoch{instance=\"i2\"} 0x800", nil},
	"EspalierTwoLead":                     {"  espalier_issuer_ledger_epoch{instance=\"i1\"} 3x800\n  espalier_issuer_ledger_epoch{instance=\"i2\"} 4x800", nil},
	"EspalierLedgerBehind":                {`  espalier_issuer_ledger_unplaced{instance="i1"} 0+500x800`, nil},
	"EspalierLedgerNotWritten":            {`  espalier_issuer_ledger_failed_writes{instance="i1"} 0+1x800`, map[string]string{"instance": "i1"}},
	"EspalierSignaturesNotRecorded":       {`  espalier_issuer_records_dropped{instance="i1"} 0x780 5x19`, map[string]string{"instance": "i1"}},
	"EspalierDatabaseClock":               {`  espalier_issuer_database_clock_ahead_seconds{instance="i1"} -14x800`, map[string]string{"instance": "i1"}},
	"EspalierResourcesRefused":            {"  espalier_issuer_resources_refused{instance=\"i1\"} 1x800\n  espalier_issuer_resources_refused{instance=\"i2\"} 0x800", nil},
	"EspalierNotReady":                    {`  espalier_issuer_not_ready{instance="i1",kind="cluster"} 2x800`, map[string]string{"kind": "cluster"}},
	"EspalierKeysProposed":                {`  espalier_issuer_key_proposals{instance="i1"} 1x800`, nil},
	"EspalierQuotaStorm":                  {`  espalier_issuer_refused_total{code="quota",tenant="shop",cluster="east"} 0+90x800`, map[string]string{"tenant": "shop", "cluster": "east"}},
	"EspalierUnavailable":                 {`  espalier_issuer_refused_total{code="unavailable",tenant="shop",cluster="east"} 0+10x800`, map[string]string{"tenant": "shop"}},
	"EspalierOverloaded":                  {`  espalier_issuer_refused_total{code="overloaded",tenant="shop",cluster="east"} 0+1x800`, nil},
	"EspalierFault":                       {`  espalier_issuer_refused_total{code="internal",tenant="",cluster="east"} 0x795 1x5`, map[string]string{"cluster": "east"}},
	"EspalierOperatorsRefused":            {`  espalier_issuer_refused_total{code="role-missing",tenant="",cluster=""} 0+1x800`, map[string]string{"code": "role-missing"}},
	"EspalierIssuerPortLimited":           {`  espalier_issuer_connections_limited{instance="i1"} 0+1x800`, map[string]string{"instance": "i1"}},
	"EspalierHubUnreachable":              {"  espalier_agent_first_expiry_seconds{instance=\"a1\"} 40000-60x800\n  espalier_agent_issuer_connections{instance=\"a1\"} 0x800", map[string]string{"instance": "a1"}},
	"EspalierCertificatesEnd":             {"  espalier_agent_first_expiry_seconds{instance=\"a1\"} 13000-60x800\n  espalier_agent_issuer_connections{instance=\"a1\"} 0x800", map[string]string{"instance": "a1"}},
	"EspalierAgentCertificateNotRenewed":  {`  espalier_agent_certificate_expiry_seconds{instance="a1",certificate="serving"} 170000x800`, map[string]string{"certificate": "serving"}},
	"EspalierAgentCertificateEnds":        {`  espalier_agent_certificate_expiry_seconds{instance="a1",certificate="agent"} 3000x800`, map[string]string{"certificate": "agent"}},
	"EspalierWorkloadRootEnds":            {`  citadel_server_root_cert_expiry_seconds{instance="a1"} 5000000x800`, map[string]string{"instance": "a1"}},
	"EspalierTokenKeysMissing":            {`  espalier_agent_token_keys_missing{instance="a1"} 1x800`, map[string]string{"instance": "a1"}},
	"EspalierTrustConflict":               {`  espalier_agent_trust_conflicts{instance="a1"} 3x800`, map[string]string{"instance": "a1"}},
	"EspalierTrustRefused":                {`  espalier_agent_trust_refused{instance="a1"} 1x800`, map[string]string{"instance": "a1"}},
	"EspalierForeignTrust":                {`  espalier_agent_trust_overwritten_total{instance="a1"} 0x790 1x10`, map[string]string{"instance": "a1"}},
	"EspalierRequestsWait":                {`  espalier_agent_requests_oldest_seconds{instance="a1",door="csr",reason="Retrying"} 0+60x800`, map[string]string{"instance": "a1", "door": "csr"}},
	"EspalierAgentPortLimited":            {`  espalier_agent_connections_limited{instance="a1"} 0+1x800`, map[string]string{"instance": "a1"}},
}

func readRules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation)
	for _, err := range errs {
		t.Error(err)
	}
	found := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			found[rule.Alert] = rule
		}
	}
	return found
}

type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// Series in the notation of Prometheus' own tests, one in a line, a value a minute.
func load(t *testing.T, text string) storage.Queryable {
	t.Helper()
	var all []storage.Series
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		metric, values, err := parser.ParseSeriesDesc(line)
		if err != nil {
			t.Fatal(err)
		}
		var samples []chunks.Sample
		for i, value := range values {
			samples = append(samples, sample{int64(i) * time.Minute.Milliseconds(), value.Value})
		}
		all = append(all, storage.NewListSeries(metric, samples))
	}
	choose := func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		var chosen []storage.Series
		for _, series := range all {
			if matches(series.Labels(), matchers) {
				chosen = append(chosen, series)
			}
		}
		return &seriesSet{series: chosen}
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: choose}}
}

type seriesSet struct {
	series []storage.Series
	next   int
}

func (s *seriesSet) Next() bool                        { s.next++; return s.next <= len(s.series) }
func (s *seriesSet) At() storage.Series                { return s.series[s.next-1] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

func matches(series labels.Labels, matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(series.Get(matcher.Name)) {
			return false
		}
	}
	return true
}

const minutes = 799

// The labels of what fires of a rule at the end: what its expression has had for as long as it asks.
func firing(t *testing.T, rule rulefmt.Rule, series string) []labels.Labels {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: math.MaxInt32, Timeout: time.Minute, LookbackDelta: 5 * time.Minute})
	stored := load(t, series)
	held := map[string]int{}
	var last promql.Vector
	wanted := int(time.Duration(rule.For)/time.Minute) + 1
	for ago := wanted - 1; ago >= 0; ago-- {
		query, err := engine.NewInstantQuery(context.Background(), stored, nil, rule.Expr, time.Unix(int64(minutes-ago)*60, 0))
		if err != nil {
			t.Fatal(err)
		}
		last, err = query.Exec(context.Background()).Vector()
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range last {
			held[one.Metric.String()]++
		}
	}
	var found []labels.Labels
	for _, one := range last {
		if held[one.Metric.String()] == wanted {
			found = append(found, one.Metric)
		}
	}
	return found
}

func TestEveryRuleHasACase(t *testing.T) {
	named, told := slices.Sorted(maps.Keys(readRules(t))), slices.Sorted(maps.Keys(fires))
	if !slices.Equal(named, told) {
		t.Errorf("rules %v, cases %v", named, told)
	}
}

func TestNothingFiresWhereAllIsWell(t *testing.T) {
	for name, rule := range readRules(t) {
		if active := firing(t, rule, well); len(active) > 0 {
			t.Errorf("%s fires: %v", name, active)
		}
	}
}

func TestEachFiresOnWhatItSpeaksOf(t *testing.T) {
	for name, rule := range readRules(t) {
		active := firing(t, rule, fires[name].series)
		if len(active) != 1 {
			t.Errorf("%s: %d fire: %v", name, len(active), active)
			continue
		}
		for label, value := range fires[name].labels {
			if active[0].Get(label) != value {
				t.Errorf("%s: %s is %q, not %q", name, label, active[0].Get(label), value)
			}
		}
	}
}
