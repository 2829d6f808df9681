package peers

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	pkiutil "istio.io/istio/security/pkg/pki/util"
)

// An svid is a reply of the CA with the key it was asked for.
type svid struct {
	elements      []string
	leaf          *x509.Certificate
	intermediates []*x509.Certificate
	roots         []*x509.Certificate
	key           crypto.Signer
	keyPEM        []byte
}

// Reads the reply as Istio's data planes do, strictly: one certificate per element, leaf first, the roots together in the last.
func readSVID(elements []string, keyPEM []byte) (svid, error) {
	if len(elements) < 3 {
		return svid{}, fmt.Errorf("%d elements in the chain, want leaf, at least one intermediate and the roots", len(elements))
	}
	s := svid{elements: elements, keyPEM: keyPEM}
	for i, element := range elements {
		certificates, err := readCanonicalPEM(element)
		if err != nil {
			return svid{}, fmt.Errorf("element %d: %w", i, err)
		}
		last := i == len(elements)-1
		if !last && len(certificates) != 1 {
			return svid{}, fmt.Errorf("element %d has %d certificates, ztunnel reads the first alone", i, len(certificates))
		}
		switch {
		case i == 0:
			s.leaf = certificates[0]
		case last:
			s.roots = certificates
		default:
			s.intermediates = append(s.intermediates, certificates[0])
		}
	}
	key, err := pkiutil.ParsePemEncodedKey(keyPEM)
	if err != nil {
		return svid{}, fmt.Errorf("key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return svid{}, fmt.Errorf("a %T cannot sign", key)
	}
	s.key = signer
	return s, nil
}

// Istio compares roots by their text, so the text must be the one and only encoding, with a newline at its end.
func readCanonicalPEM(text string) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	var canonical bytes.Buffer
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
		_ = pem.Encode(&canonical, &pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})
	}
	if len(certificates) == 0 || canonical.String() != text {
		return nil, errors.New("not canonical PEM of certificates, each with a newline at its end")
	}
	return certificates, nil
}

// Everything that holds for any workload's certificate, whenever it was made. All that is wrong is told at once.
func (s svid) check(id string) error {
	faults := &faults{}
	s.checkNames(faults, id)
	s.checkExtensions(faults)
	s.checkAuthorities(faults)
	s.checkSerial(faults)
	if !publicKeysEqual(s.leaf.PublicKey, s.key.Public()) {
		faults.add("the leaf's key is not the one of the CSR")
	}
	if s.leaf.NotAfter.After(s.intermediates[0].NotAfter) {
		faults.add("the leaf outlives its authority: %v after %v", s.leaf.NotAfter, s.intermediates[0].NotAfter)
	}
	faults.join("Go's x509", s.verifyWithGo())
	faults.join("go-spiffe", s.verifyWithGoSPIFFE(id))
	faults.join("Istio's VerifyCertificate", s.verifyWithIstio(id))
	return faults.err()
}

func (s svid) checkNames(faults *faults, id string) {
	leaf := s.leaf
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != id {
		faults.add("URI names %v, want %s alone", leaf.URIs, id)
	}
	if len(leaf.DNSNames)+len(leaf.EmailAddresses)+len(leaf.IPAddresses) != 0 {
		faults.add("names besides the URI: %v %v %v", leaf.DNSNames, leaf.EmailAddresses, leaf.IPAddresses)
	}
	if !bytes.Equal(leaf.RawSubject, []byte{0x30, 0}) {
		faults.add("subject %q, want none", leaf.Subject)
	}
}

// The closed list of a leaf's extensions: which, whether critical, and where it is fixed the exact value.
var leafExtensions = map[string]struct {
	name     string
	critical bool
	value    []byte
}{
	"2.5.29.15": {"key usage", true, []byte{3, 2, 5, 0xa0}}, // digitalSignature and keyEncipherment
	"2.5.29.37": {"extended key usage", false, nil},
	"2.5.29.19": {"basic constraints", true, []byte{0x30, 0}},
	"2.5.29.14": {"subject key identifier", false, nil},
	"2.5.29.35": {"authority key identifier", false, nil},
	"2.5.29.17": {"subject alternative name", true, nil}, // X509-SVID: critical where the subject is empty
}

func (s svid) checkExtensions(faults *faults) {
	leaf := s.leaf
	if leaf.Version != 3 {
		faults.add("version %d", leaf.Version)
	}
	seen := map[string]bool{}
	for _, extension := range leaf.Extensions {
		oid := extension.Id.String()
		want, known := leafExtensions[oid]
		if !known || seen[oid] {
			faults.add("extension %s is unknown or there twice", oid)
			continue
		}
		seen[oid] = true
		if extension.Critical != want.critical {
			faults.add("%s: critical is %v", want.name, extension.Critical)
		}
		if want.value != nil && !bytes.Equal(extension.Value, want.value) {
			faults.add("%s: % x, want % x", want.name, extension.Value, want.value)
		}
	}
	for oid, want := range leafExtensions {
		if !seen[oid] {
			faults.add("no %s", want.name)
		}
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if !slices.Equal(leaf.ExtKeyUsage, usages) || len(leaf.UnknownExtKeyUsage) > 0 {
		faults.add("extended key usages %v %v, want serverAuth and clientAuth", leaf.ExtKeyUsage, leaf.UnknownExtKeyUsage)
	}
	if !bytes.Equal(leaf.AuthorityKeyId, s.intermediates[0].SubjectKeyId) {
		faults.add("authority key identifier % x, the authority's is % x", leaf.AuthorityKeyId, s.intermediates[0].SubjectKeyId)
	}
}

// What ztunnel's verifier and SPIFFE ask of the certificates above a leaf, and that they stand in order.
func (s svid) checkAuthorities(faults *faults) {
	child := s.leaf
	for i, authority := range s.intermediates {
		faults.join(fmt.Sprintf("element %d is not signed by the next", i), child.CheckSignatureFrom(authority))
		checkAuthority(faults, fmt.Sprintf("intermediate %d", i+1), authority)
		child = authority
	}
	if first := s.intermediates[0]; !first.MaxPathLenZero {
		faults.add("the authority's path length is %d, want 0", first.MaxPathLen)
	}
	signed := false
	for _, root := range s.roots {
		checkAuthority(faults, "root", root)
		faults.join("a root is not self-signed", root.CheckSignatureFrom(root))
		signed = signed || child.CheckSignatureFrom(root) == nil
	}
	if !signed {
		faults.add("no root of the last element signed the last intermediate")
	}
}

func checkAuthority(faults *faults, what string, ca *x509.Certificate) {
	if !ca.BasicConstraintsValid || !ca.IsCA {
		faults.add("%s is no CA", what)
	}
	if ca.KeyUsage&x509.KeyUsageCertSign == 0 || ca.KeyUsage&^(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		faults.add("%s: key usage %b", what, ca.KeyUsage)
	}
	if len(ca.PermittedURIDomains)+len(ca.ExcludedURIDomains) != 0 {
		faults.add("%s has URI name constraints, which ztunnel's verifier never matches", what)
	}
	for _, extension := range ca.Extensions {
		isCriticalOne := extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 15}) || extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 19})
		if extension.Critical != isCriticalOne {
			faults.add("%s: extension %v: critical is %v", what, extension.Id, extension.Critical)
		}
	}
	for _, uri := range ca.URIs {
		if uri.Scheme == "spiffe" && uri.Path != "" {
			faults.add("%s: its SPIFFE ID %v has a path", what, uri)
		}
	}
}

var serials sync.Map

// Serials are checked over the whole run: the same one twice, on two certificates, is a fault of the CA.
func (s svid) checkSerial(faults *faults) {
	serial := s.leaf.SerialNumber
	if serial.Sign() <= 0 || len(serial.Bytes()) > 20 || serial.BitLen() < 64 {
		faults.add("serial %x", serial)
	}
	if was, known := serials.LoadOrStore(serial.String(), s.leaf.Raw); known && !bytes.Equal(was.([]byte), s.leaf.Raw) {
		faults.add("serial %x was given twice", serial)
	}
}

func (s svid) verifyWithGo() error {
	var errs []error
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := s.leaf.Verify(x509.VerifyOptions{
			Roots:         pool(s.roots),
			Intermediates: pool(s.intermediates),
			KeyUsages:     []x509.ExtKeyUsage{usage},
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s svid) verifyWithGoSPIFFE(id string) error {
	bundle := x509bundle.NewSet(s.bundle())
	got, _, err := x509svid.ParseAndVerify(s.rawChain(), bundle)
	if err != nil {
		return err
	}
	if got.String() != id {
		return fmt.Errorf("it reads %s", got)
	}
	if parsed, err := s.forGoSPIFFE(); err != nil {
		return err
	} else if parsed.ID != got {
		return fmt.Errorf("x509svid.Parse reads %s", parsed.ID)
	}
	return nil
}

func (s svid) verifyWithIstio(id string) error {
	return pkiutil.VerifyCertificate(s.keyPEM, []byte(strings.Join(s.elements[:len(s.elements)-1], "")), []byte(s.elements[len(s.elements)-1]),
		&pkiutil.VerifyFields{
			Host:        id,
			NotBefore:   s.leaf.NotBefore,
			TTL:         s.leaf.NotAfter.Sub(s.leaf.NotBefore),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		})
}

// Leaf and intermediates, as they go on the wire.
func (s svid) rawChain() [][]byte {
	chain := [][]byte{s.leaf.Raw}
	for _, authority := range s.intermediates {
		chain = append(chain, authority.Raw)
	}
	return chain
}

// The roots that came with the certificate, for its own trust domain and no other.
func (s svid) bundle() *x509bundle.Bundle {
	return x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(s.leaf.URIs[0].Host), s.roots)
}

// go-spiffe's own parser, which checks more of a chain than its verifier does; it wants the key as PKCS#8.
func (s svid) forGoSPIFFE() (*x509svid.SVID, error) {
	key, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		return nil, err
	}
	return x509svid.ParseRaw(bytes.Join(s.rawChain(), nil), key)
}

// As Envoy gets it from pilot-agent: every element, so the roots are on the wire too.
func (s svid) forTLS() tls.Certificate {
	chain := s.rawChain()
	for _, root := range s.roots {
		chain = append(chain, root.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: s.key}
}

// NotBefore two minutes before the moment of the request, NotAfter the given time after it; two seconds for rounding.
func (s svid) checkValidity(asked, answered time.Time, validity time.Duration) error {
	const backdate, rounding = 2 * time.Minute, 2 * time.Second
	faults := &faults{}
	from, until := s.leaf.NotBefore, s.leaf.NotAfter
	if from.Before(asked.Add(-backdate-rounding)) || from.After(answered.Add(-backdate+rounding)) {
		faults.add("NotBefore is %v before the request, want %v", asked.Sub(from), backdate)
	}
	if until.Before(asked.Add(validity-rounding)) || until.After(answered.Add(validity+rounding)) {
		faults.add("NotAfter is %v after the request, want %v", until.Sub(asked), validity)
	}
	return faults.err()
}

// All that a judge found wrong with one thing.
type faults struct{ all []error }

func (f *faults) add(format string, values ...any) {
	f.all = append(f.all, fmt.Errorf(format, values...))
}

func (f *faults) join(judge string, err error) {
	if err != nil {
		f.add("%s: %w", judge, err)
	}
}

func (f *faults) err() error { return errors.Join(f.all...) }

func pool(certificates []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, certificate := range certificates {
		pool.AddCert(certificate)
	}
	return pool
}

func publicKeysEqual(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}
