package peers

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A VM's life: a token once, then renewal by the certificate it has, over restarts too.
func TestPilotAgentRenewsOnAVMWithoutItsToken(t *testing.T) {
	t.Parallel()
	w := pick(t, "a VM", isVM)
	folder := t.TempDir()
	env := append(vmEnv(w, folder), rotateEverySeconds...)

	withToken := startPilotAgent(t, w, folder, env...)
	withToken.awaitRotations(t, w, 1)
	withToken.stop()
	first, err := readFolder(folder)
	if err != nil {
		t.Fatal(err)
	}

	// A home without a token: all this agent has is the folder.
	withoutToken := runPilotAgent(t, w, t.TempDir(), folder, env...)
	renewed := withoutToken.awaitRotations(t, w, 4)
	if isAmong(renewed, []svid{first}) {
		t.Fatal("the certificate was not renewed")
	}
	if renewed.leaf.URIs[0].String() != first.leaf.URIs[0].String() {
		t.Fatalf("renewed as %v, was %v", renewed.leaf.URIs[0], first.leaf.URIs[0])
	}
}

// VMs keep the file after its hour, so renewals come with a token that is none any more. istiod takes the certificate.
func TestAVMRenewsBesideAStaleToken(t *testing.T) {
	w := pick(t, "a VM", isVM)
	c := byCertificate(t, w)
	c.tokenFile = fileWith(t, []byte("eyJhbGciOiJSUzI1NiJ9.e30.AAAA"))
	c.get(t, w.SpiffeID, "P-256")
}

func TestAVMRenewsItselfAlone(t *testing.T) {
	w := pick(t, "a VM", isVM)
	byCertificate(t, w).get(t, w.SpiffeID, "RSA-2048")

	csr, _ := newCSR(t, stranger(t, w).SpiffeID, "P-256")
	_, err := byCertificate(t, w).sign(t, csr)
	requireRefusal(t, err, "PermissionDenied")
}

// Its tenant may well be in the other cluster too: a certificate renews in the cluster it was got in.
func TestAVMsCertificateIsNoProofInAnotherCluster(t *testing.T) {
	w := pick(t, "a VM", isVM)
	for _, name := range clusterNames() {
		if name == w.Cluster {
			continue
		}
		c := byCertificate(t, w)
		c.agent, c.rootFile, c.clusterID = the.Clusters[name].Agent, the.Clusters[name].ServingRootFile, name
		csr, _ := newCSR(t, w.SpiffeID, "P-256")
		_, err := c.sign(t, csr)
		requireRefusal(t, err, "Unauthenticated", "PermissionDenied")
	}
}

// Otherwise a certificate stolen from a pod would outlive the pod for as long as the thief likes.
func TestAPodsCertificateIsNeverRenewed(t *testing.T) {
	for _, w := range the.Workloads {
		if w.VM {
			continue
		}
		csr, _ := newCSR(t, w.SpiffeID, "P-256")
		_, err := byCertificate(t, w).sign(t, csr)
		requireRefusal(t, err, "Unauthenticated", "PermissionDenied")
	}
}

func TestPilotAgentCannotRenewAPodsCertificate(t *testing.T) {
	t.Parallel()
	w := pick(t, "a pod", isPod)
	folder := t.TempDir()
	had := w.get(t)
	for file, content := range map[string]string{
		"cert-chain.pem": joined(had.elements),
		"root-cert.pem":  had.elements[len(had.elements)-1],
		"key.pem":        string(had.keyPEM),
	} {
		copyTo(t, fileWith(t, []byte(content)), filepath.Join(folder, file))
	}
	agent := runPilotAgent(t, w, t.TempDir(), folder, vmEnv(w, folder)...)
	for deadline := time.Now().Add(90 * time.Second); !agent.said("failed to sign CSR"); {
		if time.Now().After(deadline) {
			t.Fatal("pilot-agent was not refused within 90 s")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !agent.said("code = Unauthenticated") && !agent.said("code = PermissionDenied") {
		t.Fatal("pilot-agent was refused for another reason")
	}
	has, err := readFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	if !has.leaf.Equal(had.leaf) {
		t.Fatalf("pilot-agent renewed a pod's certificate: serial %x", has.leaf.SerialNumber)
	}
}

// A VM's certificates come and go in one folder. Its root-cert.pem becomes the workloads' roots, so the serving root must be named.
func vmEnv(w workload, folder string) []string {
	servingRoot := the.Clusters[w.Cluster].ServingRootFile
	return []string{"PROV_CERT=" + folder, "OUTPUT_CERTS=" + folder, "CA_ROOT_CA=" + servingRoot, "XDS_ROOT_CA=" + servingRoot}
}

// A call with a certificate that w got by its token, and no token.
func byCertificate(t *testing.T, w workload) call {
	t.Helper()
	had := w.get(t)
	c := w.call()
	c.tokenFile = filepath.Join(t.TempDir(), "none")
	c.certFile = fileWith(t, []byte(joined(had.elements)))
	c.keyFile = fileWith(t, had.keyPEM)
	return c
}

func joined(elements []string) string { return strings.Join(elements, "") }
