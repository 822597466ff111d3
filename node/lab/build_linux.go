package lab

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Build compiles the main package with the import path pkg, without cgo, into
// the directory dir and returns the program's path. The working directory must
// be inside the module.
func Build(ctx context.Context, dir, pkg string) (string, error) {
	if err := noteSources(); err != nil {
		return "", err
	}
	program := filepath.Join(dir, path.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, bytes.TrimSpace(out))
	}
	return program, nil
}

// noteSources looks at every Go file of the module. "go test" remembers which
// files a test looked at and repeats it when one has changed; it cannot see
// what a compiler run by the test read, and would otherwise show the result of
// an earlier program as this one's.
func noteSources() error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return fmt.Errorf("the working directory is not inside a Go module: run this from the checkout")
		}
		root = filepath.Dir(root)
	}
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case strings.HasSuffix(d.Name(), ".go"):
			_, err = os.Stat(name)
			if os.IsNotExist(err) {
				return nil // removed while we walked
			}
		}
		return err
	})
}
