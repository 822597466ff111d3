package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
)

// Restored says who and what a backup brought back.
type Restored struct {
	Name    string
	Cert    identity.Certificate
	Created time.Time // of the backup
}

// Restore makes the person and device of a backup live in an empty home, which
// from then on is opened by the backup's passphrase: opt says where that comes from.
// A home that is not empty is refused with CodeDenied. Until all of the backup has
// been read and found whole, no node starts on the home; after a failure it is empty
// again. The device will open new logs, since what it said after the backup may be
// known to others.
func Restore(ctx context.Context, home string, r io.Reader, opt Options) (Restored, error) {
	b, err := openBackup(ctx, r, &opt)
	if err != nil {
		return Restored{}, err
	}
	lock, err := Acquire(home)
	if err != nil {
		return Restored{}, err
	}
	err = restore(ctx, home, b, opt.System != nil)
	if err = errors.Join(err, lock.Release()); err != nil {
		return Restored{}, err
	}
	return Restored{Name: b.contents.Name, Cert: b.keys.Cert, Created: b.contents.Created}, nil
}

// strayFiles are what SQLite keeps beside a history, and would add to the restored one
// if they were left from another.
var strayFiles = []string{historyFile + "-wal", historyFile + "-journal"}

// restoredFiles are what a restore makes.
var restoredFiles = []string{historyFile, keysName, profileName, unlockName, freshName}

func restore(ctx context.Context, home string, b *backup, remember bool) (err error) {
	mark := filepath.Join(home, restoringName)
	if !exists(mark) {
		for _, name := range slices.Concat([]string{plainKeysName}, restoredFiles, strayFiles) {
			if exists(filepath.Join(home, name)) {
				return chat.Errorf(chat.CodeDenied, "The home %s holds somebody already. Restore into an empty one: name it with --home.", home)
			}
		}
		if err := writeFile(home, restoringName, nil); err != nil {
			return homeFailed(home, err)
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, clearRestored(home))
		}
	}()
	if err := removeFiles(home, restoredFiles); err != nil {
		return homeFailed(home, err)
	}
	if err := restoreHistory(ctx, home, b); err != nil {
		return err
	}
	s := &b.keys.secret
	profile, err := json.Marshal(profileJSON{Name: chat.CleanName(b.contents.Name)})
	if err != nil {
		return err
	}
	f := &unlockFile{Version: unlockVersion, Home: newHomeID(), Passphrase: wrapByPassphrase(b.pass, s), Remember: remember}
	if err := errors.Join(
		writeSealed(home, keysName, s.derive(domainKeys), b.contents.Keys),
		writeSealed(home, profileName, s.derive(domainProfile), profile),
		writeFile(home, freshName, nil),
		writeUnlock(home, f),
	); err != nil {
		return homeFailed(home, err)
	}
	if err := errors.Join(os.Remove(mark), syncDir(home)); err != nil {
		return homeFailed(home, err)
	}
	return nil
}

func restoreHistory(ctx context.Context, home string, b *backup) error {
	f, err := os.OpenFile(filepath.Join(home, historyFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return homeFailed(home, err)
	}
	err = b.readHistory(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	var said *chat.Error
	if err == nil || errors.As(err, &said) || ctx.Err() != nil {
		return err
	}
	return homeFailed(home, err)
}

// clearRestored undoes a restore that failed.
func clearRestored(home string) error {
	if err := removeFiles(home, slices.Concat(restoredFiles, []string{restoringName})); err != nil {
		return homeFailed(home, err)
	}
	return nil
}

func removeFiles(home string, names []string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(filepath.Join(home, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, syncDir(home))...)
}
