package disktest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// Run runs cmd where it may mount disks that nobody else sees, and fails the test
// if cmd fails. It skips the test where the system forbids that, but not in CI.
func Run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) && os.Getenv("CI") != "true" {
		t.Skip("this system allows no mount namespaces, so no small disk can be made: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// Mount mounts a new disk of so many bytes at dir. Only a process that Run started
// may call it, or a thread in a mount namespace of its own: another would mount it for
// the whole system.
func Mount(dir string, size int) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
}

// Fill writes a file until its disk is full. Cutting it short makes room again.
func Fill(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// ReadOnly makes the disk at dir take no more writes.
func ReadOnly(dir string) error {
	return syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
}

// Stopped is a disk that takes nothing from this process.
type Stopped struct {
	dir     string
	covered bool
	files   []swapped
}

// swapped is a descriptor that can't be written to, and another one for what it was.
type swapped struct{ fd, was int }

// Stop makes the disk at dir take nothing from this process, as one does that the system
// has made read-only after an error, though the files of these names in it are open for
// writing: that is when the system refuses ReadOnly. Until Resume these files must stay
// open. As for Mount, only a process that Run started may call it.
func Stop(dir string, names ...string) (*Stopped, error) {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	s := &Stopped{dir: dir}
	for _, entry := range open {
		path, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err != nil || filepath.Dir(path) != dir || !slices.Contains(names, filepath.Base(path)) {
			continue
		}
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return nil, err
		}
		mute, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		was, err := syscall.Dup(fd) // keeps its locks, too
		if err != nil {
			return nil, errors.Join(err, syscall.Close(mute))
		}
		s.files = append(s.files, swapped{fd, was})
		if err := errors.Join(syscall.Dup3(mute, fd, syscall.O_CLOEXEC), syscall.Close(mute)); err != nil {
			return nil, err
		}
	}
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		return nil, err
	}
	s.covered = true
	return s, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, "")
}

// Return has the directory take files again, but not the open ones, as with a disk that
// was away for a while.
func (s *Stopped) Return() error {
	if !s.covered {
		return nil
	}
	s.covered = false
	return syscall.Unmount(s.dir, syscall.MNT_DETACH)
}

// Resume has the disk take all again.
func (s *Stopped) Resume() error {
	err := s.Return()
	for _, f := range s.files {
		err = errors.Join(err, syscall.Dup3(f.was, f.fd, syscall.O_CLOEXEC), syscall.Close(f.was))
	}
	s.files = nil
	return err
}

// Writable makes the disk at dir take writes again.
func Writable(dir string) error { return syscall.Mount("", dir, "", syscall.MS_REMOUNT, "") }
