package peers

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The hub's methods, by the names they have on the wire, and how each may refuse. An empty message is a whole one of any type.
var hubMethods = map[string][]codes.Code{
	"/espalier.v1.Issuer/Sign":     {codes.Unauthenticated},
	"/espalier.v1.Issuer/SignOnce": {codes.Unauthenticated},
	"/espalier.v1.Issuer/Watch":    {codes.Unauthenticated},
	// An issuer that serves operators on its socket alone has no such service here.
	"/espalier.v1.Admin/ListTenants":  {codes.Unauthenticated, codes.Unimplemented},
	"/espalier.v1.Admin/SetSuspended": {codes.Unauthenticated, codes.Unimplemented},
}

// Its certificate may have every usage there is: at the hub a workload is nobody.
func TestAWorkloadIsNobodyAtTheHub(t *testing.T) {
	requireHubAnswers(t)
	for _, w := range the.Workloads {
		certificate, err := tls.LoadX509KeyPair(filepath.Join(w.Directory, "cert-chain.pem"), filepath.Join(w.Directory, "key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		for method := range hubMethods {
			requireNobody(t, w.String(), method, callHub(t, method, certificate))
		}
	}
}

func TestTheHubSignsForNobodyWithoutACertificate(t *testing.T) {
	requireHubAnswers(t)
	for method := range hubMethods {
		requireNobody(t, "nobody", method, callHub(t, method))
	}
}

// Joining is for those who have no certificate yet; an answer to it, even a refusal, shows that the hub is there to be asked.
func requireHubAnswers(t *testing.T) {
	t.Helper()
	err := callHub(t, "/espalier.v1.Issuer/Join")
	switch code := status.Code(err); code {
	case codes.Unauthenticated, codes.InvalidArgument, codes.PermissionDenied:
	default:
		t.Fatalf("the hub answers an empty Join with %v", err)
	}
}

// A stream that is answered, or a call that fails for want of a hub, is no refusal.
func requireNobody(t *testing.T, who, method string, err error) {
	t.Helper()
	if want := hubMethods[method]; !slices.Contains(want, status.Code(err)) {
		t.Errorf("%s calls %s: %v, want %v", who, method, err, want)
	}
}

// Calls a method as a stream, which a unary call is too on the wire, and gives the error of its first reply.
func callHub(t *testing.T, method string, certificates ...tls.Certificate) error {
	t.Helper()
	// Who the hub is does not matter here, and its root is for agents.
	config := &tls.Config{InsecureSkipVerify: true}
	if len(certificates) > 0 {
		// Sent even though the hub may say that it wants others'.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	}
	connection, err := grpc.NewClient(the.Hub.Address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
		return stream.RecvMsg(&emptypb.Empty{})
	}
	_ = stream.CloseSend()
	return stream.RecvMsg(&emptypb.Empty{})
}
