package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"earshot/chat"
)

func init() { children["few files"] = fewFiles }

// Where no more files may be opened, that is what is said: the home is not broken.
func TestTooManyOpenFilesIsNoBrokenHome(t *testing.T) {
	dir := t.TempDir()
	someHistory(t, dir, 3)
	if err := child(t.Context(), "few files", dir).Run(); err != nil {
		t.Error(err)
	}
}

// fewFiles reads a history with ever more files that may be opened.
func fewFiles(dir string) error {
	s, err := Open(context.Background(), dir, Options{Key: testKey})
	if err != nil {
		return err
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	most := limit.Cur
	for more := range 10 {
		limit.Cur = uint64(len(open) - 1 + more) // one was that of the directory
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		_, err := s.Messages(context.Background(), chat.OpenRoom("#lobby"), MessageQuery{})
		limit.Cur = most
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		switch {
		case err == nil && more == 0:
			return errors.New("no more files were needed")
		case err == nil:
			return s.Close()
		case chat.CodeOf(err) != chat.CodeBusy:
			return fmt.Errorf("with %d more files: %w", more, err)
		}
	}
	return errors.New("10 more files were not enough")
}
