package peers

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A pilotAgent is Istio's own agent as a process of its own, without Envoy, which writes what it holds into a folder.
type pilotAgent struct {
	certs   string
	log     string
	process *exec.Cmd
	ended   chan error
}

// Ten minutes, the shortest Espalier gives by default, and a grace that leaves three seconds of them before the next.
var rotateEverySeconds = []string{"SECRET_TTL=10m", "SECRET_GRACE_PERIOD_RATIO=0.995", "SECRET_GRACE_PERIOD_RATIO_JITTER=0"}

func TestPilotAgentRotatesInAPod(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"RSA":            nil,
		"ECDSA":          {"ECC_SIGNATURE_ALGORITHM=ECDSA"},
		"P-384":          {"ECC_SIGNATURE_ALGORITHM=ECDSA", "ECC_CURVE=P384", "PKCS8_KEY=true"},
		"TLS 1.2 (FIPS)": {"ECC_SIGNATURE_ALGORITHM=ECDSA", "COMPLIANCE_POLICY=fips-140-2"},
		"post-quantum":   {"ECC_SIGNATURE_ALGORITHM=ECDSA", "COMPLIANCE_POLICY=pqc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := pick(t, "a pod", isPod)
			agent := startPilotAgent(t, w, t.TempDir(), append(env, rotateEverySeconds...)...)
			agent.awaitRotations(t, w, 3)
		})
	}
}

// Starts pilot-agent for w, with its token in the folder where pods have it; certificates go to the folder certs.
func startPilotAgent(t *testing.T, w workload, certs string, env ...string) *pilotAgent {
	t.Helper()
	home := t.TempDir()
	copyTo(t, w.TokenFile, filepath.Join(home, "var/run/secrets/tokens/istio-token"))
	copyTo(t, w.RootFile, filepath.Join(home, "var/run/secrets/istio/root-cert.pem"))
	return runPilotAgent(t, w, home, certs, env...)
}

func runPilotAgent(t *testing.T, w workload, home, certs string, env ...string) *pilotAgent {
	t.Helper()
	agent := &pilotAgent{certs: certs, log: filepath.Join(t.TempDir(), "log"), ended: make(chan error, 1)}
	output, err := os.Create(agent.log)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	agent.process = exec.Command(pilotAgentBinary(t), "proxy")
	agent.process.Dir, agent.process.Stdout, agent.process.Stderr = home, output, output
	agent.process.Env = append([]string{
		"DISABLE_ENVOY=true",
		"CA_ADDR=" + w.Agent,
		"OUTPUT_CERTS=" + certs,
		"GRPC_XDS_BOOTSTRAP=",
		fmt.Sprintf(`PROXY_CONFIG={"statusPort":%d}`, freePort(t)),
		"TRUST_DOMAIN=" + w.trustDomain(),
		"POD_NAMESPACE=" + w.Namespace,
		"POD_NAME=" + w.Name,
		"SERVICE_ACCOUNT=" + w.ServiceAccount,
		"ISTIO_META_CLUSTER_ID=" + w.Cluster,
	}, env...)
	if err := agent.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { agent.ended <- agent.process.Wait() }()
	t.Cleanup(func() {
		agent.stop()
		if t.Failed() {
			t.Logf("pilot-agent for %s said, at last:\n%s", w, agent.lastLines(15))
		}
	})
	return agent
}

// Nothing it could still have to say is of interest, and a polite end takes it five seconds.
func (a *pilotAgent) stop() {
	if a.process == nil {
		return
	}
	_ = a.process.Process.Kill()
	<-a.ended
	a.process = nil
}

// Waits until so many different certificates have been in the folder, each checked, each with a key of its own.
func (a *pilotAgent) awaitRotations(t *testing.T, w workload, count int) svid {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 180*time.Second)
	defer cancel()
	var seen []svid
	for len(seen) < count {
		s, err := a.await(ctx, seen)
		if err != nil {
			t.Fatalf("after %d certificates: %v", len(seen), err)
		}
		if err := s.check(w.SpiffeID); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, s)
	}
	return seen[len(seen)-1]
}

// The folder's next whole content: its three files are written one after the other, so for a moment they need not match.
func (a *pilotAgent) await(ctx context.Context, seen []svid) (svid, error) {
	last := errors.New("nothing yet")
	for {
		s, err := readFolder(a.certs)
		switch {
		case err != nil:
			last = err
		case !publicKeysEqual(s.leaf.PublicKey, s.key.Public()):
			last = errors.New("key.pem is not the key of cert-chain.pem")
		case isAmong(s, seen):
			last = errors.New("no new key and certificate")
		default:
			return s, nil
		}
		select {
		case <-ctx.Done():
			return svid{}, last
		case err := <-a.ended:
			a.ended <- err
			return svid{}, fmt.Errorf("pilot-agent ended: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func isAmong(s svid, seen []svid) bool {
	for _, other := range seen {
		if s.leaf.SerialNumber.Cmp(other.leaf.SerialNumber) == 0 || publicKeysEqual(s.key.Public(), other.key.Public()) {
			return true
		}
	}
	return false
}

// pilot-agent writes all elements in a row, and the last one, the roots, once more into a file of its own.
func readFolder(folder string) (svid, error) {
	chain, err := readBlocks(filepath.Join(folder, "cert-chain.pem"))
	if err != nil {
		return svid{}, err
	}
	roots, err := readBlocks(filepath.Join(folder, "root-cert.pem"))
	if err != nil {
		return svid{}, err
	}
	key, err := os.ReadFile(filepath.Join(folder, "key.pem"))
	if err != nil {
		return svid{}, err
	}
	above := len(chain) - len(roots)
	if above < 0 || !slices.Equal(chain[above:], roots) {
		return svid{}, errors.New("cert-chain.pem does not end with root-cert.pem")
	}
	return readSVID(append(chain[:above], strings.Join(roots, "")), key)
}

// A file's PEM blocks, each as the text it was sent as: pilot-agent drops the newline at the end of the roots.
func readBlocks(file string) ([]string, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var blocks []string
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return blocks, nil
		}
		blocks = append(blocks, string(pem.EncodeToMemory(block)))
	}
}

func (a *pilotAgent) said(text string) bool {
	log, _ := os.ReadFile(a.log)
	return bytes.Contains(log, []byte(text))
}

func (a *pilotAgent) lastLines(count int) string {
	log, _ := os.ReadFile(a.log)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// The binary `run` has built, or else the Go tool's own.
func pilotAgentBinary(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("ESPALIER_PILOT_AGENT"); binary != "" {
		return binary
	}
	path, err := exec.Command("go", "tool", "-n", "pilot-agent").Output()
	if err != nil {
		t.Fatalf("go tool -n pilot-agent: %v", err)
	}
	return strings.TrimSpace(string(path))
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
