package peers

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/credentialfetcher/plugin"
	"istio.io/istio/security/pkg/nodeagent/caclient/providers/citadel"
	pkiutil "istio.io/istio/security/pkg/pki/util"
)

// The keys Istio's GenCSR can make.
var keys = map[string]pkiutil.CertOptions{
	"RSA-2048": {RSAKeySize: 2048},
	"RSA-3072": {RSAKeySize: 3072},
	"RSA-4096": {RSAKeySize: 4096},
	"P-256":    {ECSigAlg: pkiutil.EcdsaSigAlg, ECCCurve: pkiutil.P256Curve},
	"P-384":    {ECSigAlg: pkiutil.EcdsaSigAlg, ECCCurve: pkiutil.P384Curve},
}

// A call is one use of Istio's CA client. What is not set is as pilot-agent has it in a pod.
type call struct {
	agent      string
	rootFile   string
	tokenFile  string
	certFile   string
	keyFile    string
	clusterID  string
	certSigner string
	ttlSeconds int64
}

func (w workload) call() call {
	return call{agent: w.Agent, rootFile: w.RootFile, tokenFile: w.TokenFile, clusterID: w.Cluster}
}

// Asks with the given CSR; the status code of a refusal is to be found in the error's text, for Istio's client wraps it away.
func (c call) sign(t *testing.T, csrPEM []byte) ([]string, error) {
	t.Helper()
	options := &security.Options{
		CAEndpoint:  c.agent,
		ClusterID:   c.clusterID,
		CertSigner:  c.certSigner,
		CredFetcher: plugin.CreateTokenPlugin(c.tokenFile),
	}
	client, err := citadel.NewCitadelClient(options, &citadel.TLSOptions{RootCert: c.rootFile, Cert: c.certFile, Key: c.keyFile})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	return client.CSRSign(csrPEM, c.ttlSeconds)
}

// Asks for id with a new key, and checks the answer with every judge.
func (c call) get(t *testing.T, id, key string) svid {
	t.Helper()
	csr, keyPEM := newCSR(t, id, key)
	elements, err := c.sign(t, csr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSVID(elements, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.check(id); err != nil {
		t.Fatal(err)
	}
	return s
}

func (w workload) get(t *testing.T) svid {
	t.Helper()
	return w.call().get(t, w.SpiffeID, "P-256")
}

func newCSR(t *testing.T, id, key string) (csrPEM, keyPEM []byte) {
	t.Helper()
	options, known := keys[key]
	if !known {
		t.Fatalf("no key %s", key)
	}
	options.Host = id
	csrPEM, keyPEM, err := pkiutil.GenCSR(options)
	if err != nil {
		t.Fatal(err)
	}
	return csrPEM, keyPEM
}

// A CSR that Istio's GenCSR would not make.
func csrFrom(t *testing.T, template *x509.CertificateRequest, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func requireRefusal(t *testing.T, err error, codes ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("a certificate was given, want %s", strings.Join(codes, " or "))
	}
	for _, code := range codes {
		if strings.Contains(err.Error(), "code = "+code+" ") {
			return
		}
	}
	t.Fatalf("refused as %v, want %s", err, strings.Join(codes, " or "))
}

func TestIstioClientGetsCertificatesForEveryKey(t *testing.T) {
	for _, name := range clusterNames() {
		for key := range keys {
			t.Run(name+"/"+key, func(t *testing.T) {
				w := pick(t, "a pod in "+name, isPod, in(name))
				w.call().get(t, w.SpiffeID, key)
			})
		}
	}
}

// Espalier's bounds are its operator's; these hold for any: none asked or a negative one is the default, too much is clamped, too little raised.
func TestIstioClientGetsTheValidityItAsksFor(t *testing.T) {
	w := pick(t, "a pod", isPod)
	ask := func(t *testing.T, ttl time.Duration) (s svid, asked, answered time.Time) {
		c := w.call()
		c.ttlSeconds = int64(ttl / time.Second)
		asked = time.Now()
		s = c.get(t, w.SpiffeID, "P-256")
		return s, asked, time.Now()
	}
	t.Run("one hour", func(t *testing.T) {
		s, asked, answered := ask(t, time.Hour)
		if err := s.checkValidity(asked, answered, time.Hour); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("none and negative are the default", func(t *testing.T) {
		none, asked, answered := ask(t, 0)
		validity := none.leaf.NotAfter.Sub(none.leaf.NotBefore) - 2*time.Minute
		if err := none.checkValidity(asked, answered, validity); err != nil {
			t.Fatal(err)
		}
		negative, asked, answered := ask(t, -time.Second)
		if err := negative.checkValidity(asked, answered, validity); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("ten years are clamped", func(t *testing.T) {
		const years, daysMax = 10, 90
		s, asked, answered := ask(t, years*365*24*time.Hour)
		validity := s.leaf.NotAfter.Sub(s.leaf.NotBefore) - 2*time.Minute
		if validity > daysMax*24*time.Hour || validity < time.Hour {
			t.Errorf("clamped to %v, want at most %d days", validity, daysMax)
		}
		if err := s.checkValidity(asked, answered, validity); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("one minute is raised", func(t *testing.T) {
		s, asked, answered := ask(t, time.Minute)
		validity := s.leaf.NotAfter.Sub(s.leaf.NotBefore) - 2*time.Minute
		if validity <= 5*time.Minute {
			t.Errorf("raised to %v, where ztunnel renews at half and NotBefore lies two minutes back", validity)
		}
		if err := s.checkValidity(asked, answered, validity); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOneAnswerGivesOneBundleToAllOfATenant(t *testing.T) {
	one, other := pairAcrossClusters(t)
	first, second, third := one.get(t), one.get(t), other.get(t)
	last := func(s svid) string { return s.elements[len(s.elements)-1] }
	if last(first) != last(second) || last(first) != last(third) {
		t.Fatalf("the roots of %s and %s differ in their bytes", one, other)
	}
}

// pilot-agent always sends the header, and where nobody has set ISTIO_META_CLUSTER_ID it is empty.
func TestAnEmptyClusterIDIsTheAgentsOwn(t *testing.T) {
	w := pick(t, "a pod", isPod)
	c := w.call()
	c.clusterID = ""
	c.get(t, w.SpiffeID, "P-256")
}

func TestACertSignerOfOnesOwnTenantChangesNothing(t *testing.T) {
	w := pick(t, "a pod", isPod)
	c := w.call()
	c.certSigner = w.Tenant
	c.get(t, w.SpiffeID, "P-256")
}

// A file of the test's own, for what the client reads from one.
func fileWith(t *testing.T, text []byte) string {
	t.Helper()
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
