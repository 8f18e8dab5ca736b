//go:build tools

// Package tools names the programs of Vitess that `make shards` runs, so that go.mod keeps what they require.
package tools

import (
	_ "vitess.io/vitess/go/cmd/vtctldclient"
	_ "vitess.io/vitess/go/cmd/vtgate"
	_ "vitess.io/vitess/go/cmd/vttablet"
)
