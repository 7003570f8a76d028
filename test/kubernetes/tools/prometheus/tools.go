//go:build tools

// Package tools pins Prometheus, which scrapes the test cluster: Debian's is built without Kubernetes discovery. See
// ../kubernetes/tools.go.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
