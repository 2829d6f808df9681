// Command zlint judges certificates in PEM files by zlint's RFC and community lints. Any warning or worse fails, except those
// in the table below, each with the reason why it does not apply to a mesh.
package main

import (
	"encoding/pem"
	"fmt"
	"os"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

var ignored = map[string]string{}

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
	if err := checkIgnored(registry); err != nil {
		fatal(err)
	}
	judged, faults := 0, 0
	for _, file := range os.Args[1:] {
		certificates, err := readCertificates(file)
		if err != nil {
			fatal(err)
		}
		for i, certificate := range certificates {
			judged++
			for _, fault := range judge(certificate, registry) {
				faults++
				fmt.Printf("%s[%d]: %s\n", file, i, fault)
			}
		}
	}
	fmt.Printf("zlint: %d certificates by %d lints, %d faults\n", judged, len(registry.Names())-len(ignored), faults)
	if faults > 0 {
		os.Exit(1)
	}
}

func judge(certificate *x509.Certificate, registry lint.Registry) []string {
	var faults []string
	for name, result := range zlint.LintCertificateEx(certificate, registry).Results {
		if _, known := ignored[name]; known || result.Status < lint.Warn {
			continue
		}
		faults = append(faults, fmt.Sprintf("%s: %v %s", name, result.Status, result.Details))
	}
	return faults
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

// A lint that is ignored must be one there is, or the table says nothing.
func checkIgnored(registry lint.Registry) error {
	for name := range ignored {
		if registry.CertificateLints().ByName(name) == nil {
			return fmt.Errorf("ignored lint %s is none of these sources'", name)
		}
	}
	return nil
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "zlint:", err)
	os.Exit(1)
}
