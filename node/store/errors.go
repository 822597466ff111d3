package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// wrap turns a failure of SQLite or the file system into a sentence for a person.
// Errors that are one already, and those of a context, pass unchanged.
func wrap(dir string, err error) error {
	if !foreign(err) {
		return err
	}
	if code := sqlite3.ExtendedErrorCode(0); errors.As(err, &code) {
		err = fmt.Errorf("%w, SQLite's code %d", err, code) // its words name only the kind
	}
	text := func(format string) string { return fmt.Sprintf(format, dir) }
	switch {
	case Damaged(err):
		return chat.Wrap(chat.CodeHomeBroken, err, text("The history in %s is damaged; nothing in it was changed."),
			"Check the disk. Then move "+FileName+" away with all files whose names begin so, and restore a backup or start with an empty history.")
	case errors.Is(err, sqlite3.FULL), diskFull(err), errors.Is(err, sqlite3.IOERR) && noSpace(dir):
		return chat.Wrap(chat.CodeDiskFull, err, text("The disk that holds %s is full, so nothing more can be stored."),
			"Free some space; Earshot goes on by itself.")
	case tooManyFiles(err), errors.Is(err, sqlite3.CANTOPEN) && noFile(dir):
		return chat.Wrap(chat.CodeBusy, err, text("Too many files are open to read or write the history in %s."),
			"Close other programs, or raise the limit of open files, then try again.")
	case errors.Is(err, sqlite3.READONLY), errors.Is(err, sqlite3.CANTOPEN), errors.Is(err, sqlite3.PERM),
		noWrites(err), errors.Is(err, sqlite3.IOERR) && noWrites(try(dir)):
		if readOnly(err) || readOnly(try(dir)) {
			return chat.Wrap(chat.CodeHomeBroken, err, text("Earshot may not write its history in %s: that disk is read-only now."),
				"Make it writable, and check it first (a disk that fails becomes read-only): Earshot goes on by itself; or choose another home with --home.")
		}
		return chat.Wrap(chat.CodeHomeBroken, err, text("Earshot may not write its history in %s."),
			"Make that directory and its files writable for you, or choose another home with --home.")
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		return chat.Wrap(chat.CodeBusy, err, text("Another program holds the history in %s."),
			"Wait until that program (a backup, perhaps) is done, then try again.")
	case errors.Is(err, sqlite3.IOERR), errors.Is(err, fs.ErrNotExist), isPathError(err):
		return chat.Wrap(chat.CodeHomeBroken, err, text("The history in %s can't be read or written: ")+err.Error()+".",
			"Check that the disk is there and healthy, then try again.")
	}
	return chat.Wrap(chat.CodeInternal, err, text("Storing in %s failed in a way Earshot did not expect: ")+err.Error()+".",
		"Try again; if it happens again, report these words.")
}

// foreign reports whether an error is neither a sentence for a person nor a
// context's.
func foreign(err error) bool {
	var done *chat.Error
	return err != nil && !errors.As(err, &done) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

func isPathError(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p)
}

// noSpace tries whether dir's file system takes a few pages more.
func noSpace(dir string) bool { return diskFull(try(dir)) }

// noWrites reports whether nothing at all could be written.
func noWrites(err error) bool { return errors.Is(err, fs.ErrPermission) || readOnly(err) }

// try writes a few pages in dir, for a moment. Of an I/O error the driver often loses
// the cause: it keeps only that of the last system call, and SQLite makes others
// before it reports the failure.
func try(dir string) error {
	f, err := os.CreateTemp(dir, "space-*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 256<<10))
	_, _ = f.Close(), os.Remove(f.Name())
	return err
}

// Works tries whether the disk takes a little more and confirms it: nil, or in words why
// not.
func (s *Store) Works(ctx context.Context) error {
	if err := try(s.dir); err != nil {
		return wrap(s.dir, err)
	}
	said := make(chan error, 1)
	s.submit(1, func(w *writer) error {
		if err := w.exec(`INSERT INTO chore (name) VALUES (?)`, choreTry); err != nil {
			return err
		}
		return w.exec(`DELETE FROM chore WHERE name = ?`, choreTry)
	}, func(err error) {
		if err != nil {
			said <- err
			return
		}
		s.Sync(func(err error) { said <- err })
	})
	var err error
	select {
	case err = <-said:
	case <-ctx.Done():
		return ctx.Err()
	}
	if chat.CodeOf(err) != chat.CodeHomeBroken || Damaged(err) || try(s.dir) != nil {
		return err
	}
	return chat.Wrap(chat.CodeHomeBroken, err, fmt.Sprintf("The disk that holds %s takes files, but not what Earshot has open on it: it was away, or fails.", s.dir),
		"Check the disk, then restart Earshot: earshot stop, and start it again.")
}

// choreTry is in no history for longer than a transaction.
const choreTry = "try"

// Damaged reports whether what was read is not what was stored.
func Damaged(err error) bool {
	for _, damage := range []error{
		sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.IOERR_DATA, sqlite3.IOERR_SHORT_READ, sqlite3.IOERR_CORRUPTFS, errDecode,
	} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return false
}

// noFile tries whether too many files are open for a connection, which needs three: of
// that, too, the driver may have lost the cause.
func noFile(dir string) bool {
	for range 3 {
		f, err := os.Open(dir)
		if err != nil {
			return tooManyFiles(err)
		}
		defer f.Close()
	}
	return false
}

// errDecode marks a stored entry that no longer decodes.
var errDecode = errors.New("store: an entry that can't be decoded")

func errStopping() error {
	return chat.Errorf(chat.CodeStopping, "Earshot is shutting down. Start it again, then repeat this.")
}
