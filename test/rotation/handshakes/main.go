// Shakes hands for a simulation: each line of its input is a moment and the workloads that speak then, each line of its output
// what became of that. Both sides verify the other with Go's crypto/tls at that moment, each by the roots it has itself.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

type workload struct {
	Name  string `json:"name"`
	Chain string `json:"chain"`
	Key   string `json:"key"`
	Roots string `json:"roots"`
}

type request struct {
	// Seconds since 1970.
	At        int64      `json:"at"`
	Workloads []workload `json:"workloads"`
	// Who serves and who calls, by index.
	Pairs [][2]int `json:"pairs"`
}

type answer struct {
	Handshakes int      `json:"handshakes"`
	Failures   []string `json:"failures"`
}

type party struct {
	name  string
	pair  tls.Certificate
	roots *x509.CertPool
}

// What was read before is not read again: most speak many times.
var known = map[workload]party{}

const knownMax = 1000

func read(w workload) (party, error) {
	if p, ok := known[w]; ok {
		return p, nil
	}
	pair, err := tls.X509KeyPair([]byte(w.Chain), []byte(w.Key))
	if err != nil {
		return party{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(w.Roots)) {
		return party{}, errors.New("it has no roots")
	}
	if len(known) >= knownMax {
		clear(known)
	}
	known[w] = party{w.Name, pair, roots}
	return known[w], nil
}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	decoder := json.NewDecoder(input)
	for {
		var asked request
		if err := decoder.Decode(&asked); err != nil {
			return
		}
		if err := output.Encode(shakeAll(asked)); err != nil {
			return
		}
	}
}

func shakeAll(asked request) answer {
	parties := make([]party, len(asked.Workloads))
	result := answer{Failures: []string{}}
	for i, w := range asked.Workloads {
		p, err := read(w)
		if err != nil {
			result.Failures = append(result.Failures, fmt.Sprintf("%s: not readable: %v", w.Name, err))
			return result
		}
		parties[i] = p
	}
	at := time.Unix(asked.At, 0)
	failures := make([]error, len(asked.Pairs))
	var all sync.WaitGroup
	gate := make(chan struct{}, 2)
	for i, pair := range asked.Pairs {
		all.Add(1)
		gate <- struct{}{}
		go func() {
			defer all.Done()
			failures[i] = shake(parties[pair[0]], parties[pair[1]], at)
			<-gate
		}()
	}
	all.Wait()
	for i, err := range failures {
		result.Handshakes++
		if err != nil {
			pair := asked.Pairs[i]
			result.Failures = append(result.Failures, fmt.Sprintf("%s serves %s: %v", parties[pair[0]].name, parties[pair[1]].name, err))
		}
	}
	return result
}

func shake(server, client party, at time.Time) error {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	deadline := time.Now().Add(time.Minute)
	near.SetDeadline(deadline)
	far.SetDeadline(deadline)
	served := make(chan error, 1)
	go func() {
		err := tls.Server(near, configOf(server, at)).Handshake()
		if err != nil {
			near.Close()
		}
		served <- err
	}()
	// With TLS 1.3 a client is done before the server has judged it: the server's word counts as well.
	connection := tls.Client(far, configOf(client, at))
	err := connection.Handshake()
	if err != nil {
		far.Close()
		return errors.Join(err, <-served)
	}
	go connection.Read(make([]byte, 1))
	return <-served
}

func configOf(p party, at time.Time) *tls.Config {
	now := func() time.Time { return at }
	return &tls.Config{
		Time:                   now,
		MinVersion:             tls.VersionTLS12,
		Certificates:           []tls.Certificate{p.pair},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              p.roots,
		RootCAs:                p.roots,
		SessionTicketsDisabled: true,
		// Nothing here is about the key exchange, and the default is the dearest.
		CurvePreferences: []tls.CurveID{tls.X25519},
		// A SPIFFE server has no DNS name to compare: all of the verifying of servers is done here.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			intermediates := x509.NewCertPool()
			for _, certificate := range state.PeerCertificates[1:] {
				intermediates.AddCert(certificate)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots:         p.roots,
				Intermediates: intermediates,
				CurrentTime:   at,
				KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			return err
		},
	}
}
