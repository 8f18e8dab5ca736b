//go:build tools

// Package pulumicli names the Pulumi CLI, which is built from its own module, so that go.mod keeps it.
package pulumicli

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
