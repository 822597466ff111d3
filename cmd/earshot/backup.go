package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"earshot/chat"
	"earshot/node/keyring"
)

// backedUp and restored are what `backup` and `restore` print with --json.
type backedUp struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

type restored struct {
	Home      string        `json:"home"`
	Person    chat.PersonID `json:"person"`
	Device    chat.DeviceID `json:"device"`
	Name      string        `json:"name"`
	CreatedAt time.Time     `json:"created_at"` // of the backup
}

func runBackup(ctx context.Context, a *app, args []string) error {
	file, err := filepath.Abs(args[0])
	if err != nil {
		return backupFailed(args[0], err)
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return chat.Errorf(chat.CodeUsage, "%s is there already, and a backup overwrites nothing. Choose another name.", cell(args[0]))
	}
	pass, err := a.backupPassphrase(ctx)
	if err != nil {
		return err
	}
	return a.with(ctx, need{}, func(s *session) error {
		// Under its name stands only a backup that has been read back whole.
		f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.part") // mode 0600
		if err != nil {
			return backupFailed(args[0], err)
		}
		defer func() { _ = os.Remove(f.Name()) }() // where it was renamed there is none
		err = s.Backup(ctx, string(pass), f)
		if err == nil {
			_, err = f.Seek(0, 0)
		}
		if err == nil {
			err = keyring.CheckBackup(ctx, f, keyring.Options{Given: pass})
		}
		var size int64
		if info, statErr := f.Stat(); statErr == nil {
			size = info.Size()
		}
		if err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(f.Name(), file)
		}
		if err != nil {
			return backupFailed(args[0], err)
		}
		if a.p.json {
			return a.p.object(backedUp{file, size})
		}
		return a.p.line("Your keys and history are backed up in %s (%d KB). Keep its passphrase: without it the file is worth nothing, and with it anybody is you.", cell(args[0]), (size+1023)>>10)
	})
}

// backupPassphrase returns the passphrase of a new backup.
func (a *app) backupPassphrase(ctx context.Context) ([]byte, error) {
	if name := os.Getenv(keyring.PassphraseVariable); name != "" && a.opt.passphraseFile == "" && !a.canAsk() {
		return a.readPassphrase(name)
	}
	return a.choose(ctx, "a passphrase for the backup")
}

func backupFailed(file string, err error) error {
	var e *chat.Error
	if errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return err
	}
	return chat.Wrap(chat.CodeBackup, err, "The backup "+cell(file)+" could not be written: "+err.Error()+".", "Check the disk and its space, or choose another place.")
}

func runRestore(ctx context.Context, a *app, args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return chat.Wrap(chat.CodeUsage, err, "The backup can't be read: "+err.Error()+".", "Name a file that `earshot backup` made.")
	}
	defer f.Close()
	opt, err := a.unlock()
	if err != nil {
		return err
	}
	if a.opt.passphraseFile != "" {
		if opt.Given, err = a.readPassphrase(a.opt.passphraseFile); err != nil {
			return err
		}
	}
	if opt.Ask != nil {
		opt.Ask = func(ctx context.Context, try int) ([]byte, error) {
			if try > 0 {
				a.p.note("That passphrase is wrong.")
			}
			return a.ask(ctx, "Passphrase of the backup: ")
		}
	}
	got, err := keyring.Restore(ctx, a.home, f, opt)
	if err != nil {
		return err
	}
	if a.p.json {
		return a.p.object(restored{a.home, got.Cert.Person(), got.Cert.Device, got.Name, got.Created})
	}
	a.p.note("The home is protected by the passphrase of the backup. Never run the device that the backup was made on and this one at once: others take them for one.")
	return a.p.line("%s (%s) is back in %s, as of %s.", cell(got.Name), got.Cert.Person().Short(), cell(a.home), a.p.stamp(got.Created))
}
