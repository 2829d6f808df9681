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
	pb "istio.io/api/security/v1alpha1"
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

// ztunnel speaks TLS 1.3 only, AES-GCM only and h2 only. Go restricts TLS 1.3 suites to AES-GCM in its FIPS mode alone, which is
// chosen at the start of a process: so this test runs itself again in that mode, and there makes ztunnel's whole call.
func TestAClientAsStrictAsZtunnel(t *testing.T) {
	if !fips140.Enabled() {
		again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v")
		again.Env = append(os.Environ(), "GODEBUG=fips140=on")
		if output, err := again.CombinedOutput(); err != nil {
			t.Fatalf("in FIPS mode: %v\n%s", err, output)
		}
		return
	}
	for _, name := range clusterNames() {
		w := pick(t, "a pod in "+name, isPod, in(name))
		config := &tls.Config{
			MinVersion: tls.VersionTLS13,
			RootCAs:    rootsOf(t, w.RootFile),
			ServerName: the.Clusters[name].ServingNames[0],
			NextProtos: []string{"h2"},
		}
		state := handshake(t, w.Agent, config)
		if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" {
			t.Errorf("%s: TLS %x, protocol %q", name, state.Version, state.NegotiatedProtocol)
		}
		if suite := tls.CipherSuiteName(state.CipherSuite); !strings.Contains(suite, "AES") || !strings.Contains(suite, "GCM") {
			t.Errorf("%s: %s", name, suite)
		}
		callAsZtunnel(t, w, config)
	}
}

// ztunnel's CSR has no subject and a critical SAN; its token header is not trimmed; in dedicated mode it sends no metadata at all.
func callAsZtunnel(t *testing.T, w workload, config *tls.Config) {
	t.Helper()
	token, err := os.ReadFile(w.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := grpc.NewClient(w.Agent, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	key := newP256(t)
	san, err := pkiutil.BuildSubjectAltNameExtension(w.SpiffeID)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{*san}}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)), "clusterid", w.Cluster)
	reply, err := pb.NewIstioCertificateServiceClient(connection).CreateCertificate(ctx, &pb.IstioCertificateRequest{
		Csr:              string(csrFrom(t, template, key)),
		ValidityDuration: 86400,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSVID(reply.CertChain, pemOf(t, key))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.check(w.SpiffeID); err != nil {
		t.Fatal(err)
	}
}

// The strictest offer OpenSSL can make, suite by suite, with its own strict check of the serving chain.
func TestOpenSSLConnectsAsStrictlyAsZtunnel(t *testing.T) {
	for _, name := range clusterNames() {
		c := the.Clusters[name]
		for _, suite := range []string{"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"} {
			t.Run(name+"/"+suite, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
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
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, config)
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
