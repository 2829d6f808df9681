// Package peers judges a running Espalier with software that is not ours: Istio's own CA client, pilot-agent, go-spiffe and
// Go's crypto/tls. Nothing here imports or imitates Espalier; all it knows is what endpoints.json says.
package peers

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// A stage is what endpoints.json tells about the Espalier that is being judged.
type stage struct {
	Hub struct {
		Address string `json:"address"`
	} `json:"hub"`
	Clusters  map[string]cluster `json:"clusters"`
	Workloads []workload         `json:"workloads"`
	// Where a Kubernetes API server stands beside the agents; test/mesh has some.
	Ztunnels []ztunnel `json:"ztunnels"`
}

type cluster struct {
	Agent           string   `json:"agent"`
	ServingRootFile string   `json:"servingRootFile"`
	ServingNames    []string `json:"servingNames"`
}

// A workload is somebody Espalier gives certificates to. A VM's token is bound to no pod.
type workload struct {
	Tenant         string `json:"tenant"`
	Cluster        string `json:"cluster"`
	Namespace      string `json:"namespace"`
	ServiceAccount string `json:"serviceAccount"`
	Name           string `json:"name"`
	VM             bool   `json:"vm"`
	Agent          string `json:"agent"`
	RootFile       string `json:"rootFile"`
	TokenFile      string `json:"tokenFile"`
	SpiffeID       string `json:"spiffeId"`
	Directory      string `json:"directory"`
}

// A ztunnel asks with its own token for the pods of its node, and for nobody else.
type ztunnel struct {
	Cluster   string `json:"cluster"`
	TokenFile string `json:"tokenFile"`
	// SPIFFE IDs.
	OnNode    []string `json:"onNode"`
	Elsewhere []string `json:"elsewhere"`
}

func (w workload) String() string { return w.Cluster + "/" + w.Namespace + "/" + w.Name }

func (w workload) trustDomain() string {
	host, _, _ := strings.Cut(strings.TrimPrefix(w.SpiffeID, "spiffe://"), "/")
	return host
}

var the stage

func TestMain(m *testing.M) {
	if err := readStage(); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func readStage() error {
	file := os.Getenv("ESPALIER_ENDPOINTS")
	if file == "" {
		return fmt.Errorf("ESPALIER_ENDPOINTS is not set; test/peers/run starts an Espalier and sets it")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &the); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if the.Hub.Address == "" || len(the.Clusters) == 0 || len(the.Workloads) == 0 {
		return fmt.Errorf("%s names no hub, no cluster or no workload", file)
	}
	return nil
}

// The workload that all of the conditions hold for; the test fails when there is none, for then nothing would be judged.
func pick(t *testing.T, what string, conditions ...func(workload) bool) workload {
	t.Helper()
	for _, w := range the.Workloads {
		if !slices.ContainsFunc(conditions, func(holds func(workload) bool) bool { return !holds(w) }) {
			return w
		}
	}
	t.Fatalf("endpoints.json has no workload that is %s", what)
	return workload{}
}

func isPod(w workload) bool { return !w.VM }
func isVM(w workload) bool  { return w.VM }

func in(cluster string) func(workload) bool {
	return func(w workload) bool { return w.Cluster == cluster }
}

func of(tenant string) func(workload) bool {
	return func(w workload) bool { return w.Tenant == tenant }
}

func not(holds func(workload) bool) func(workload) bool {
	return func(w workload) bool { return !holds(w) }
}

// A pod of a tenant that has pods in more than one cluster, and one such pod elsewhere.
func pairAcrossClusters(t *testing.T) (workload, workload) {
	t.Helper()
	for _, one := range the.Workloads {
		for _, other := range the.Workloads {
			if isPod(one) && isPod(other) && one.Tenant == other.Tenant && one.Cluster != other.Cluster {
				return one, other
			}
		}
	}
	t.Fatal("endpoints.json has no tenant with pods in two clusters")
	return workload{}, workload{}
}

// A pod of another tenant than w's, with another trust domain.
func stranger(t *testing.T, w workload) workload {
	t.Helper()
	return pick(t, "of another trust domain than "+w.trustDomain(), isPod, func(other workload) bool {
		return other.Tenant != w.Tenant && other.trustDomain() != w.trustDomain()
	})
}

func clusterNames() []string {
	names := []string{}
	for name := range the.Clusters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
