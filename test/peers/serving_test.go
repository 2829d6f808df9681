package peers

import (
	"context"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"
	pb "istio.io/api/security/v1alpha1"
	"istio.io/istio/pkg/security"
	pkiutil "istio.io/istio/security/pkg/pki/util"
)

func TestTheAgentServesForItsClusterAlone(t *testing.T) {
	for _, name := range clusterNames() {
		t.Run(name, func(t *testing.T) {
			c := the.Clusters[name]
			chain := handshake(t, c.Agent, &tls.Config{InsecureSkipVerify: true}).PeerCertificates
			leaf := chain[0]
			verify := func(root, dnsName string, usage x509.ExtKeyUsage) error {
				_, err := leaf.Verify(x509.VerifyOptions{
					Roots:         rootsOf(t, root),
					Intermediates: pool(chain[1:]),
					DNSName:       dnsName,
					KeyUsages:     []x509.ExtKeyUsage{usage},
				})
				return err
			}
			for _, served := range c.ServingNames {
				if err := verify(c.ServingRootFile, served, x509.ExtKeyUsageServerAuth); err != nil {
					t.Errorf("%s: %v", served, err)
				}
			}
			for _, foreign := range []string{"istiod.elsewhere.svc", "espalier.example", "svc", "a.localhost"} {
				if verify(c.ServingRootFile, foreign, x509.ExtKeyUsageServerAuth) == nil {
					t.Errorf("it serves as %s", foreign)
				}
			}
			if !sameNames(leaf.DNSNames, c.ServingNames) || len(leaf.URIs)+len(leaf.EmailAddresses) != 0 {
				t.Errorf("names %v %v, want %v", leaf.DNSNames, leaf.URIs, c.ServingNames)
			}
			if verify(c.ServingRootFile, "", x509.ExtKeyUsageClientAuth) == nil {
				t.Error("it verifies as a client")
			}
			for other, elsewhere := range the.Clusters {
				if other != name && verify(elsewhere.ServingRootFile, "", x509.ExtKeyUsageServerAuth) == nil {
					t.Errorf("it verifies under the serving root of %s", other)
				}
			}
		})
	}
}

// With an external CA, pods use one file for the CA and for istiod, and their peers' roots come with their certificates alone.
func TestNoWorkloadVerifiesUnderAServingRoot(t *testing.T) {
	for _, name := range clusterNames() {
		s := pick(t, "a pod in "+name, isPod, in(name)).get(t)
		for other, c := range the.Clusters {
			_, err := s.leaf.Verify(x509.VerifyOptions{
				Roots:         rootsOf(t, c.ServingRootFile),
				Intermediates: pool(s.intermediates),
				KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			if err == nil {
				t.Errorf("a workload of %s verifies under the serving root of %s", name, other)
			}
		}
	}
}

// ztunnel speaks TLS 1.3 only, AES-GCM only and h2 only.
func TestAClientAsStrictAsZtunnel(t *testing.T) {
	if !inFIPSMode(t) {
		return
	}
	for _, name := range clusterNames() {
		w := pick(t, "a pod in "+name, isPod, in(name))
		config := strictAsZtunnel(t, the.Clusters[name])
		state := handshake(t, w.Agent, config)
		if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" {
			t.Errorf("%s: TLS %x, protocol %q", name, state.Version, state.NegotiatedProtocol)
		}
		if suite := tls.CipherSuiteName(state.CipherSuite); !strings.Contains(suite, "AES") || !strings.Contains(suite, "GCM") {
			t.Errorf("%s: %s", name, suite)
		}
		// In dedicated mode it sends no metadata at all.
		s, err := askAsZtunnel(t, ztunnelCall{agent: w.Agent, config: config, cluster: name, tokenFile: w.TokenFile, id: w.SpiffeID})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.check(w.SpiffeID); err != nil {
			t.Fatal(err)
		}
	}
}

// In shared mode it asks for all pods of its node.
func TestZtunnelGetsThePodsOfItsNode(t *testing.T) {
	if len(the.Ztunnels) == 0 {
		t.Skip("no ztunnel here: the agents have no Kubernetes API server")
	}
	if !inFIPSMode(t) {
		return
	}
	for _, z := range the.Ztunnels {
		c := the.Clusters[z.Cluster]
		call := ztunnelCall{agent: c.Agent, config: strictAsZtunnel(t, c), cluster: z.Cluster, tokenFile: z.TokenFile, impersonates: true}
		for _, id := range z.OnNode {
			call.id = id
			s, err := askAsZtunnel(t, call)
			if err != nil {
				t.Errorf("%s, on the node of %s's ztunnel: %v", id, z.Cluster, err)
				continue
			}
			if err := s.check(id); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		for _, id := range z.Elsewhere {
			call.id = id
			_, err := askAsZtunnel(t, call)
			requireRefusal(t, err, "Unauthenticated")
		}
	}
}

// Go restricts TLS 1.3 suites to AES-GCM in its FIPS mode alone, which is chosen at the start of a process: so a test that wants this
// runs itself again in that mode.
func inFIPSMode(t *testing.T) bool {
	t.Helper()
	if fips140.Enabled() {
		return true
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v")
	again.Env = append(os.Environ(), "GODEBUG=fips140=on")
	if output, err := again.CombinedOutput(); err != nil {
		t.Fatalf("in FIPS mode: %v\n%s", err, output)
	}
	return false
}

func strictAsZtunnel(t *testing.T, c cluster) *tls.Config {
	t.Helper()
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    rootsOf(t, c.ServingRootFile),
		ServerName: c.ServingNames[0],
		NextProtos: []string{"h2"},
	}
}

type ztunnelCall struct {
	agent        string
	config       *tls.Config
	cluster      string
	tokenFile    string
	id           string
	impersonates bool
}

// ztunnel's CSR has no subject and a critical SAN; its token header is not trimmed.
func askAsZtunnel(t *testing.T, call ztunnelCall) (svid, error) {
	t.Helper()
	token, err := os.ReadFile(call.tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := grpc.NewClient(call.agent, grpc.WithTransportCredentials(credentials.NewTLS(call.config)))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	key := newP256(t)
	san, err := pkiutil.BuildSubjectAltNameExtension(call.id)
	if err != nil {
		t.Fatal(err)
	}
	csr := csrFrom(t, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{*san}}, key)
	request := &pb.IstioCertificateRequest{Csr: string(csr), ValidityDuration: 86400}
	if call.impersonates {
		if request.Metadata, err = structpb.NewStruct(map[string]any{security.ImpersonatedIdentity: call.id}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)), "clusterid", call.cluster)
	reply, err := pb.NewIstioCertificateServiceClient(connection).CreateCertificate(ctx, request)
	if err != nil {
		return svid{}, err
	}
	return readSVID(reply.CertChain, pemOf(t, key))
}

// The strictest offer OpenSSL can make, suite by suite, with its own strict check of the serving chain.
func TestOpenSSLConnectsAsStrictlyAsZtunnel(t *testing.T) {
	for _, name := range clusterNames() {
		c := the.Clusters[name]
		for _, suite := range []string{"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"} {
			t.Run(name+"/"+suite, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
				defer cancel()
				output, err := exec.CommandContext(ctx, "openssl", "s_client", "-connect", c.Agent, "-servername", c.ServingNames[0],
					"-tls1_3", "-ciphersuites", suite, "-alpn", "h2", "-CAfile", c.ServingRootFile, "-x509_strict",
					"-verify_hostname", c.ServingNames[0], "-verify_return_error").CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, output)
				}
				for _, line := range []string{"ALPN protocol: h2", "Cipher is " + suite, "Verification: OK"} {
					if !strings.Contains(string(output), line) {
						t.Errorf("openssl s_client does not say %q:\n%s", line, output)
					}
				}
			})
		}
	}
}

func handshake(t *testing.T, address string, config *tls.Config) tls.ConnectionState {
	t.Helper()
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return connection.ConnectionState()
}

func rootsOf(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := readCanonicalPEM(string(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return pool(certificates)
}

func sameNames(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
