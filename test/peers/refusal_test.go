package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestATokenOfAnotherClusterIsRefused(t *testing.T) {
	here, there := pairAcrossClusters(t)
	c := here.call()
	c.tokenFile = there.TokenFile
	csr, _ := newCSR(t, here.SpiffeID, "P-256")
	_, err := c.sign(t, csr)
	requireRefusal(t, err, "Unauthenticated")
}

// As istiod has it: who means another cluster has come to the wrong address.
func TestAnotherClustersIDIsRefused(t *testing.T) {
	here, there := pairAcrossClusters(t)
	c := here.call()
	c.clusterID = there.Cluster
	csr, _ := newCSR(t, here.SpiffeID, "P-256")
	_, err := c.sign(t, csr)
	requireRefusal(t, err, "Unauthenticated")
}

func TestNoTokenIsRefused(t *testing.T) {
	w := pick(t, "a pod", isPod)
	c := w.call()
	c.tokenFile = t.TempDir() + "/none"
	csr, _ := newCSR(t, w.SpiffeID, "P-256")
	_, err := c.sign(t, csr)
	requireRefusal(t, err, "Unauthenticated")
}

func TestATokenWithAnotherSignatureIsRefused(t *testing.T) {
	w := pick(t, "a pod", isPod)
	token, err := os.ReadFile(w.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	header, rest, _ := strings.Cut(strings.TrimSpace(string(token)), ".")
	payload, signature, _ := strings.Cut(rest, ".")
	c := w.call()
	c.tokenFile = fileWith(t, []byte(header+"."+payload+"."+strings.Repeat("A", len(signature))))
	csr, _ := newCSR(t, w.SpiffeID, "P-256")
	_, err = c.sign(t, csr)
	requireRefusal(t, err, "Unauthenticated")
}

func TestACSRThatNamesAnotherIdentityIsRefused(t *testing.T) {
	w := pick(t, "a pod", isPod)
	_, path, _ := strings.Cut(strings.TrimPrefix(w.SpiffeID, "spiffe://"), "/")
	for name, id := range map[string]string{
		"trust domain of another tenant": "spiffe://" + stranger(t, w).trustDomain() + "/" + path,
		"trust domain of nobody":         "spiffe://nobody.example/" + path,
		"another account":                w.SpiffeID + "-else",
	} {
		t.Run(name, func(t *testing.T) {
			csr, _ := newCSR(t, id, "P-256")
			_, err := w.call().sign(t, csr)
			requireRefusal(t, err, "PermissionDenied")
		})
	}
}

func TestTheCertSignerOfAnotherTenantIsRefused(t *testing.T) {
	w := pick(t, "a pod", isPod)
	for _, signer := range []string{stranger(t, w).Tenant, "nobody"} {
		c := w.call()
		c.certSigner = signer
		csr, _ := newCSR(t, w.SpiffeID, "P-256")
		_, err := c.sign(t, csr)
		requireRefusal(t, err, "PermissionDenied")
	}
}

func TestAMalformedCSRIsRefused(t *testing.T) {
	w := pick(t, "a pod", isPod)
	good, _ := newCSR(t, w.SpiffeID, "P-256")
	block, _ := pem.Decode(good)
	reencode := func(der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	}
	flipped := append([]byte{}, block.Bytes...)
	flipped[len(flipped)-1] ^= 1
	for name, csr := range map[string][]byte{
		"empty":            {},
		"no PEM":           []byte("garbage"),
		"PEM of garbage":   reencode([]byte("garbage")),
		"truncated":        reencode(block.Bytes[:len(block.Bytes)-7]),
		"wrong signature":  reencode(flipped),
		"bytes at its end": reencode(append(append([]byte{}, block.Bytes...), 0)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.call().sign(t, csr)
			requireRefusal(t, err, "InvalidArgument")
		})
	}
}

func TestAWeakKeyIsRefused(t *testing.T) {
	w := pick(t, "a pod", isPod)
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.call().sign(t, csrFrom(t, &x509.CertificateRequest{URIs: []*url.URL{parseURL(t, w.SpiffeID)}}, key))
	requireRefusal(t, err, "InvalidArgument")
}

// What a CSR wants beyond its key is refused or left out, never given.
func TestACSRsOtherWishesNeverReachTheCertificate(t *testing.T) {
	w := pick(t, "a pod", isPod)
	own := parseURL(t, w.SpiffeID)
	for name, template := range map[string]*x509.CertificateRequest{
		"common name": {Subject: pkix.Name{CommonName: "istiod.istio-system.svc"}, URIs: []*url.URL{own}},
		"DNS name":    {DNSNames: []string{"istiod.istio-system.svc"}, URIs: []*url.URL{own}},
		"IP address":  {IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, URIs: []*url.URL{own}},
		"second URI":  {URIs: []*url.URL{own, parseURL(t, w.SpiffeID+"-else")}},
		"CA":          {URIs: []*url.URL{own}, ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}}},
	} {
		t.Run(name, func(t *testing.T) {
			key := newP256(t)
			elements, err := w.call().sign(t, csrFrom(t, template, key))
			if err != nil {
				requireRefusal(t, err, "InvalidArgument", "PermissionDenied")
				return
			}
			s, err := readSVID(elements, pemOf(t, key))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.check(w.SpiffeID); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// istiod fails the handshake here; Espalier takes such a certificate for none, so that a token is enough.
func TestAForeignClientCertificateDoesNotSpoilAToken(t *testing.T) {
	w := pick(t, "a pod", isPod)
	key := newP256(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		URIs:         []*url.URL{parseURL(t, stranger(t, w).SpiffeID)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c := w.call()
	c.certFile = fileWith(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	c.keyFile = fileWith(t, pemOf(t, key))
	c.get(t, w.SpiffeID, "P-256")

	c.tokenFile = t.TempDir() + "/none"
	csr, _ := newCSR(t, stranger(t, w).SpiffeID, "P-256")
	_, err = c.sign(t, csr)
	requireRefusal(t, err, "Unauthenticated")
}

func parseURL(t *testing.T, text string) *url.URL {
	t.Helper()
	url, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func newP256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
