package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"earshot/chat"
	"earshot/node/disktest"
)

// smallDiskVariable makes the test binary a process with a small disk of its own.
const smallDiskVariable = "KEYRING_TEST_DISK"

func init() {
	if dir := os.Getenv(smallDiskVariable); dir != "" {
		newCost = kdfCost{time: 1, memory: 64, lanes: 1}
		if err := onSmallDisk(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func TestAFullDiskKeepsTheOldPassphrase(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), smallDiskVariable+"="+t.TempDir())
	cmd.Stderr = os.Stderr
	disktest.Run(t, cmd)
}

// onSmallDisk makes a home on a disk, fills that, and changes what can't be changed.
func onSmallDisk(dir string) error {
	if err := disktest.Mount(dir, 256<<10); err != nil {
		return err
	}
	ctx, home := context.Background(), filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	keys, err := Load(ctx, home, given(good))
	if err != nil {
		return err
	}
	var saved bytes.Buffer
	if err := WriteBackup(&saved, keys, []byte(good), bytes.NewReader(someHistory), int64(len(someHistory)), keys.Cert.IssuedAt); err != nil {
		return err
	}
	ballast := filepath.Join(dir, "ballast")
	if err := disktest.Fill(ballast); err != nil {
		return err
	}
	for name, change := range map[string]func() error{
		"set":    func() error { return SetPassphrase(ctx, home, given(good), choose(better)) },
		"remove": func() error { return RemovePassphrase(ctx, home, given(good)) },
	} {
		if err := change(); chat.CodeOf(err) != chat.CodeDiskFull {
			return fmt.Errorf("%s on a full disk: %w", name, err)
		}
	}
	again, err := Load(ctx, home, given(good))
	if err != nil || !again.Root.Equal(keys.Root) {
		return fmt.Errorf("after that: %w", err)
	}
	if err := os.Truncate(ballast, 150<<10); err != nil { // some room, but not for all
		return err
	}
	other := filepath.Join(dir, "other")
	if _, err := Restore(ctx, other, bytes.NewReader(saved.Bytes()), given(good)); chat.CodeOf(err) != chat.CodeDiskFull {
		return fmt.Errorf("restoring on a full disk: %w", err)
	}
	if exists(filepath.Join(other, historyFile)) || exists(filepath.Join(other, restoringName)) {
		return errors.New("a restore that failed left files")
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := SetPassphrase(ctx, home, given(good), choose(better)); err != nil {
		return fmt.Errorf("after space returned: %w", err)
	}
	_, err = Load(ctx, home, given(better))
	return err
}
