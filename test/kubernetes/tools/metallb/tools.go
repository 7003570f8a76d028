//go:build tools

// Package tools pins MetalLB, which Stentor takes the place of. See ../kubernetes/tools.go.
package tools

import (
	_ "go.universe.tf/metallb/controller"
	_ "go.universe.tf/metallb/speaker"
)
