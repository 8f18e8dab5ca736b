// Command ratelimit gives the Envoy rate limit service its usual name: upstream's main package ends in
// service_cmd. It is a module of its own because it asks for gRPC interceptors of OpenTelemetry that the
// Kubernetes programs' version no longer has; everything else is as new as theirs, so that the two builds
// share what they compile.
package main

import (
	"github.com/envoyproxy/ratelimit/src/service_cmd/runner"
	"github.com/envoyproxy/ratelimit/src/settings"
)

func main() {
	limiter := runner.NewRunner(settings.NewSettings())
	limiter.Run()
}
