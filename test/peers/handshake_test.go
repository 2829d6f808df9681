package peers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Both directions: a certificate that serves well need not be one to call with.
func TestWorkloadsOfOneTenantSpeakAcrossClusters(t *testing.T) {
	one, other := pairAcrossClusters(t)
	for _, pair := range [][2]workload{{one, other}, {other, one}} {
		server, client := pair[0], pair[1]
		t.Run(fmt.Sprintf("%s serves %s", server, client), func(t *testing.T) {
			serving, calling := server.get(t), client.get(t)
			err := converse(t, mutualTLS(serving, client.SpiffeID), mutualTLS(calling, server.SpiffeID))
			if err != nil {
				t.Errorf("crypto/tls: %v", err)
			}
			if err := converse(t, spiffeServer(t, serving, serving.bundle()), spiffeClient(t, calling, calling.bundle())); err != nil {
				t.Errorf("go-spiffe: %v", err)
			}
		})
	}
}

// Even where a bundle holds every root there is, the trust domain decides: a shared root separates nothing by itself.
func TestAWorkloadOfAnotherTenantIsRefusedBySPIFFE(t *testing.T) {
	server := pick(t, "a pod", isPod)
	other := stranger(t, server)
	serving, calling := server.get(t), other.get(t)
	both := x509bundle.NewSet(serving.bundle(), calling.bundle())

	t.Run("by the authorizer", func(t *testing.T) {
		any := tlsconfig.MTLSServerConfig(mustSPIFFE(t, serving), both, tlsconfig.AuthorizeAny())
		caller := tlsconfig.MTLSClientConfig(mustSPIFFE(t, calling), both, tlsconfig.AuthorizeAny())
		if err := converse(t, any, caller); err != nil {
			t.Fatalf("with both bundles and no authorizer they should speak: %v", err)
		}
		requireTLSRefusal(t, converse(t, spiffeServer(t, serving, both), caller), "unexpected trust domain")
	})
	t.Run("by the bundle", func(t *testing.T) {
		own := tlsconfig.MTLSServerConfig(mustSPIFFE(t, serving), serving.bundle(), tlsconfig.AuthorizeAny())
		caller := tlsconfig.MTLSClientConfig(mustSPIFFE(t, calling), both, tlsconfig.AuthorizeAny())
		requireTLSRefusal(t, converse(t, own, caller), "could not get X509 bundle")
	})
	t.Run("as a server", func(t *testing.T) {
		any := tlsconfig.MTLSServerConfig(mustSPIFFE(t, calling), both, tlsconfig.AuthorizeAny())
		requireTLSRefusal(t, converse(t, any, spiffeClient(t, serving, both)), "unexpected trust domain")
	})
}

func mutualTLS(s svid, peer string) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{s.forTLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool(s.roots),
		// SPIFFE servers have no DNS name to compare; VerifyConnection does all of the verifying.
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return verifyPeer(s, state, peer) },
	}
}

func verifyPeer(s svid, state tls.ConnectionState, id string) error {
	leaf := state.PeerCertificates[0]
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != id {
		return fmt.Errorf("the peer is %v, want %s", leaf.URIs, id)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:         pool(s.roots),
		Intermediates: pool(state.PeerCertificates[1:]),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

func spiffeServer(t *testing.T, s svid, bundle x509bundle.Source) *tls.Config {
	t.Helper()
	return tlsconfig.MTLSServerConfig(mustSPIFFE(t, s), bundle, tlsconfig.AuthorizeMemberOf(trustDomainOf(s)))
}

func spiffeClient(t *testing.T, s svid, bundle x509bundle.Source) *tls.Config {
	t.Helper()
	return tlsconfig.MTLSClientConfig(mustSPIFFE(t, s), bundle, tlsconfig.AuthorizeMemberOf(trustDomainOf(s)))
}

func trustDomainOf(s svid) spiffeid.TrustDomain {
	return spiffeid.RequireTrustDomainFromString(s.leaf.URIs[0].Host)
}

// A real connection, a handshake and a word each way. An error is what either side had to say.
func converse(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() { served <- serveOne(listener) }()
	called := callOnce(listener.Addr().String(), client)
	return errors.Join(called, <-served)
}

func serveOne(listener net.Listener) error {
	connection, err := listener.Accept()
	if err != nil {
		return err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(60 * time.Second))
	word := make([]byte, 4)
	if _, err := io.ReadFull(connection, word); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	_, err = connection.Write(word)
	return err
}

func callOnce(address string, config *tls.Config) error {
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", address, config)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := connection.Write([]byte("word")); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if _, err := io.ReadFull(connection, make([]byte, 4)); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return nil
}

func requireTLSRefusal(t *testing.T, err error, reason string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Fatalf("got %v, want a refusal for %q", err, reason)
	}
}

func mustSPIFFE(t *testing.T, s svid) *x509svid.SVID {
	t.Helper()
	parsed, err := s.forGoSPIFFE()
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
