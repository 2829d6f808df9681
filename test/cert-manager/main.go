// cert-manager's own controllers and its own webhook, as two programs in one. Its mains are modules that the proxy does not serve; what
// they start is in the module that it does. This one is named below cert-manager's, since part of that is internal.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	config "github.com/cert-manager/cert-manager/internal/apis/config/webhook"
	_ "github.com/cert-manager/cert-manager/internal/controller/feature"
	"github.com/cert-manager/cert-manager/internal/webhook"
	_ "github.com/cert-manager/cert-manager/internal/webhook/feature"
	"github.com/cert-manager/cert-manager/pkg/controller"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: %s controller|webhook FLAGS", os.Args[0]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how the API server is reached")
	port := flags.Int("port", 0, "webhook: where it listens, TLS")
	certificate := flags.String("certificate", "", "webhook: PEM file")
	key := flags.String("key", "", "webhook: PEM file")
	if err := flags.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	switch os.Args[1] {
	case "controller":
		fail(runControllers(ctx, *kubeconfig))
	case "webhook":
		fail(runWebhook(ctx, *kubeconfig, *port, *certificate, *key))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runWebhook(ctx context.Context, kubeconfig string, port int, certificate, key string) error {
	var options config.WebhookConfiguration
	options.KubeConfig = kubeconfig
	options.SecurePort = int32(port)
	// Otherwise one and the same port for all on this machine.
	options.MetricsListenAddress = "0"
	options.TLSConfig.Filesystem.CertFile = certificate
	options.TLSConfig.Filesystem.KeyFile = key
	server, err := webhook.NewCertManagerWebhookServer(logf.Log, options)
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

func runControllers(ctx context.Context, kubeconfig string) error {
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig:         kubeconfig,
		KubernetesAPIQPS:   200,
		KubernetesAPIBurst: 400,
		IssuerOptions:      controller.IssuerOptions{ClusterResourceNamespace: "cert-manager"},
		CertificateOptions: controller.CertificateOptions{
			CopiedAnnotationPrefixes: []string{"*"},
			// An hour by default.
			CertificateRequestMinimumBackoffDuration: time.Second,
			CertificateRequestMaximumBackoffDuration: 5 * time.Second,
		},
	})
	if err != nil {
		return err
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	start := []func(){}
	for name, construct := range controller.Known() {
		one, err := construct(factory)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		start = append(start, func() {
			if err := one.Run(5, ctx); err != nil {
				fmt.Fprintln(os.Stderr, name, err)
			}
		})
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	for _, run := range start {
		running.Go(run)
	}
	running.Wait()
	return nil
}
