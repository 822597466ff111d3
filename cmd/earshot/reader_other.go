//go:build !unix

package main

import (
	"context"
	"os"
)

// readerGone is not known here: the next write tells.
func readerGone(context.Context, *os.File) bool { return false }
