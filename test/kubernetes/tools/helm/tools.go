//go:build tools

// Package tools pins Helm, which the tests install the chart with. See ../kubernetes/tools.go.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
