// Command zlint judges certificates and CRLs in PEM files by zlint's RFC and community lints, and CRLs' signatures by Go's x509. Any warning or worse fails, except what the
// table below excuses, each with the certificates it is about and the reason.
package main

import (
	stdx509 "crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

type excuse struct {
	of     func(*x509.Certificate) bool
	reason string
}

var excuses = map[string]excuse{
	"e_ecdsa_allowed_ku": {
		of:     func(certificate *x509.Certificate) bool { return isWorkload(certificate) || isRequested(certificate) },
		reason: "RFC 8813 section 3 bars keyEncipherment with EC keys; Istio's own leaves have it with every key, and data planes were tried with those; cert-manager asks for it with every key, and a request gets what it asks for",
	},
	"e_ext_san_uri_host_not_fqdn_or_ip": {
		of:     hasSPIFFE,
		reason: "a trust domain stands where a URI has its host and need not be a DNS name: one label and \"_\" are good (SPIFFE-ID 2.1)",
	},
}

// The web PKI's own rules (CA/Browser Forum, browsers' root programmes, ETSI) are not a mesh's.
var sources = lint.SourceList{
	lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC6962, lint.RFC8813, lint.Community,
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: zlint FILE.pem...")
		os.Exit(2)
	}
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: sources})
	if err != nil {
		fatal(err)
	}
	if err := checkExcuses(registry); err != nil {
		fatal(err)
	}
	judged, excused := 0, map[string]int{}
	faults := map[string][]string{}
	lists := 0
	for _, file := range os.Args[1:] {
		if strings.HasSuffix(file, ".crl") {
			found, err := judgeLists(file, registry)
			if err != nil {
				faults["crl"] = append(faults["crl"], err.Error())
			}
			lists += found
			continue
		}
		certificates, err := readCertificates(file)
		if err != nil {
			fatal(err)
		}
		for i, certificate := range certificates {
			judged++
			for name, result := range judge(certificate, registry, excused) {
				faults[name] = append(faults[name], fmt.Sprintf("%s[%d]: %v %s", file, i, result.Status, result.Details))
			}
		}
	}
	for name, times := range excused {
		fmt.Printf("zlint: excused %d times: %s: %s\n", times, name, excuses[name].reason)
	}
	for name, where := range faults {
		fmt.Printf("zlint: %s: %d certificates, the first %s\n", name, len(where), where[0])
	}
	fmt.Printf("zlint: %d CRLs by %d lints\n", lists, len(registry.RevocationListLints().Lints()))
	fmt.Printf("zlint: %d certificates by %d lints, %d kinds of fault\n", judged, len(registry.CertificateLints().Lints()), len(faults))
	if len(faults) > 0 {
		os.Exit(1)
	}
}

func judge(certificate *x509.Certificate, registry lint.Registry, excused map[string]int) map[string]*lint.LintResult {
	faults := map[string]*lint.LintResult{}
	for name, result := range zlint.LintCertificateEx(certificate, registry).Results {
		if result.Status < lint.Warn {
			continue
		}
		if excuse, known := excuses[name]; known && excuse.of(certificate) {
			excused[name]++
			continue
		}
		faults[name] = result
	}
	return faults
}

// Every CRL of a file: what zlint says of it, and whether a CA whose certificate stands beside the file has signed it.
func judgeLists(file string, registry lint.Registry) (int, error) {
	issuers, err := readIssuers(filepath.Dir(file))
	if err != nil {
		return 0, err
	}
	rest, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	judged := 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		list, err := stdx509.ParseRevocationList(block.Bytes)
		if err != nil {
			return judged, fmt.Errorf("%s[%d]: %w", file, judged, err)
		}
		signed := func(issuer *stdx509.Certificate) bool {
			return list.CheckSignatureFrom(issuer) == nil && slices.Equal(list.AuthorityKeyId, issuer.SubjectKeyId)
		}
		if !slices.ContainsFunc(issuers, signed) {
			return judged, fmt.Errorf("%s[%d]: no CA beside it has signed it", file, judged)
		}
		theirs, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return judged, fmt.Errorf("%s[%d]: %w", file, judged, err)
		}
		for name, result := range zlint.LintRevocationListEx(theirs, registry).Results {
			if result.Status >= lint.Warn {
				return judged, fmt.Errorf("%s[%d]: %s: %v %s", file, judged, name, result.Status, result.Details)
			}
		}
		judged++
	}
	if judged == 0 {
		return 0, fmt.Errorf("%s: no CRL", file)
	}
	return judged, nil
}

func readIssuers(folder string) ([]*stdx509.Certificate, error) {
	var issuers []*stdx509.Certificate
	for _, name := range []string{"root.pem", "intermediate.pem"} {
		certificates, err := readCertificates(filepath.Join(folder, name))
		if err != nil {
			return nil, err
		}
		for _, certificate := range certificates {
			issuer, err := stdx509.ParseCertificate(certificate.Raw)
			if err != nil {
				return nil, err
			}
			issuers = append(issuers, issuer)
		}
	}
	return issuers, nil
}

// A workload's leaf and no other profile's has a SPIFFE ID and both usages.
func isWorkload(certificate *x509.Certificate) bool {
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return hasSPIFFE(certificate) && slices.Equal(certificate.ExtKeyUsage, usages) && !certificate.IsCA
}

// A request's leaf and no other profile's has a subject.
func isRequested(certificate *x509.Certificate) bool {
	return len(certificate.Subject.Names) > 0 && !certificate.IsCA
}

func hasSPIFFE(certificate *x509.Certificate) bool {
	return len(certificate.URIs) == 1 && strings.HasPrefix(certificate.URIs[0], "spiffe://")
}

func readCertificates(file string) ([]*x509.Certificate, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var certificates []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, fmt.Errorf("%s: no certificate", file)
	}
	return certificates, nil
}

// What is excused must be a lint there is, or the table says nothing.
func checkExcuses(registry lint.Registry) error {
	for name := range excuses {
		if registry.CertificateLints().ByName(name) == nil {
			return fmt.Errorf("the excused lint %s is none of these sources'", name)
		}
	}
	return nil
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "zlint:", err)
	os.Exit(1)
}
