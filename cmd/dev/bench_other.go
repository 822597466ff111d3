//go:build !linux

package main

import (
	"context"
	"errors"
)

func underLab(run func() int) int { return run() }

func runBench(context.Context, []string) error {
	return errors.New("measurements need Linux's network namespaces: run this on a Linux machine")
}
