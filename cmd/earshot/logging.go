package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"earshot/chat"
)

// maxLogFile bounds the log file of the terminal UI, in bytes; the one before it
// is kept beside it.
const maxLogFile = 4 << 20

// openLog makes the logger that the flags ask for. fallback is where the log goes
// when they name no file: "" for standard error, else a file in the home. Close
// what it returns.
func (a *app) openLog(fallback string) (close func() error, err error) {
	level := slog.LevelWarn
	if a.opt.logLevel != "" {
		if err := level.UnmarshalText([]byte(a.opt.logLevel)); err != nil {
			return nil, chat.Errorf(chat.CodeUsage, "There is no log level %q. Use debug, info, warn or error.", a.opt.logLevel)
		}
	}
	options := &slog.HandlerOptions{Level: level}
	close = func() error { return nil }
	switch {
	case a.opt.logFile != "":
		f, err := os.OpenFile(a.opt.logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, chat.Wrap(chat.CodeUsage, err, "The log file can't be written: "+err.Error()+".", "Give another one with --log.")
		}
		a.log, close = slog.New(slog.NewTextHandler(f, options)), f.Close
	case fallback == "":
		a.log = slog.New(slog.NewTextHandler(a.p.errs, options))
	default:
		f := &boundedFile{path: filepath.Join(a.home, fallback), limit: maxLogFile}
		a.log, close = slog.New(slog.NewTextHandler(f, options)), f.Close
	}
	// Libraries that use package log write through this one, not on the screen.
	slog.SetDefault(a.log)
	return close, nil
}

// quietLog is for commands that end soon: a log only if it was asked for.
func (a *app) quietLog() (close func() error, err error) {
	if a.opt.logFile == "" && a.opt.logLevel == "" {
		a.log = slog.New(slog.DiscardHandler)
		slog.SetDefault(a.log)
		return func() error { return nil }, nil
	}
	return a.openLog("")
}

// boundedFile appends to a file, and begins a new one when that is full. It opens
// it when something is written, since the home may not be there before.
type boundedFile struct {
	path  string
	limit int64

	mu   sync.Mutex
	f    *os.File
	size int64
}

func (b *boundedFile) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.f != nil && b.size+int64(len(p)) > b.limit {
		_ = b.f.Close() // it has been written, and is about to be replaced
		b.f = nil
		if err := os.Rename(b.path, b.path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	if b.f == nil {
		f, err := os.OpenFile(b.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return 0, errors.Join(err, f.Close())
		}
		b.f, b.size = f, info.Size()
	}
	n, err := b.f.Write(p)
	b.size += int64(n)
	return n, err
}

func (b *boundedFile) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.f == nil {
		return nil
	}
	err := b.f.Close()
	b.f = nil
	return err
}
