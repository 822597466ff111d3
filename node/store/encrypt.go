package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// This file takes over histories that earlier versions left in plain text. At
// every moment the whole history is in one of three files, and what a start finds
// says how far the one before came:
//
//	history.db in plain text             nothing done; a history.db.new is waste
//	history.db.plain without history.db  history.db.new is complete
//	history.db.plain with history.db     only the plain text is left to be destroyed
const (
	newSuffix   = ".new"
	plainSuffix = ".plain"
)

// noticeable is the size, in bytes, from which encrypting takes long enough to say
// so: about a second on a small machine.
const noticeable = 32 << 20

// sidecars are the files that SQLite puts beside a database.
var sidecars = []string{"-wal", "-shm", "-journal"}

// encrypt makes of a history in plain text one that is encrypted, without losing
// anything when it is cut short.
func encrypt(ctx context.Context, path string, opt Options) error {
	if size(path+plainSuffix) >= 0 {
		if size(path) < 0 {
			if err := putInPlace(path); err != nil {
				return err
			}
		}
		return destroy(path + plainSuffix)
	}
	if plain, err := isPlain(path); err != nil || !plain {
		return err
	}
	if n := size(path); n >= noticeable && opt.Notify != nil {
		opt.Notify(fmt.Sprintf("Encrypting the %d MB of history that an earlier Earshot left in plain text. This happens once; nothing is lost if it is cut short.", n>>20))
	}
	if err := encryptCopy(ctx, path, opt); err != nil {
		return errors.Join(err, remove(path+newSuffix))
	}
	opt.atStep("rename the plain text")
	if err := os.Rename(path, path+plainSuffix); err != nil {
		return err
	}
	opt.atStep("put the new one in place")
	if err := putInPlace(path); err != nil {
		return err
	}
	opt.atStep("destroy the plain text")
	return destroy(path + plainSuffix)
}

func (o *Options) atStep(name string) {
	if o.step != nil {
		o.step(name)
	}
}

// isPlain reports whether a file is a database in plain text.
func isPlain(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	mark := []byte("SQLite format 3\x00")
	head := make([]byte, len(mark))
	_, err = io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return bytes.Equal(head, mark), errors.Join(err, f.Close())
}

// encryptCopy writes the complete encrypted copy of a history, durably.
func encryptCopy(ctx context.Context, path string, opt Options) error {
	want, err := settle(ctx, path, opt)
	if err != nil {
		return err
	}
	if err := remove(path + newSuffix); err != nil {
		return err
	}
	opt.atStep("write the copy")
	if err := private(path + newSuffix); err != nil {
		return err
	}
	c, err := open(ctx, path+newSuffix, opt.Key, sqlite3.OPEN_READWRITE)
	if err != nil {
		return err
	}
	if err := c.db.Restore("main", uri(path, "")+"?mode=ro"); err != nil {
		return errors.Join(err, c.close())
	}
	opt.atStep("check the copy")
	got, err := c.census()
	if err = errors.Join(err, c.close()); err != nil {
		return err
	}
	if got != want {
		return chat.Errorf(chat.CodeInternal, "Encrypting the history failed: the copy holds %+v of %+v. Nothing was changed; report these words.", got, want)
	}
	return errors.Join(syncFile(path+newSuffix), syncDir(filepath.Dir(path)))
}

// settle folds a plain history's write-ahead log into its file, and counts what it
// holds. It refuses a file that this version can't read.
func settle(ctx context.Context, path string, opt Options) (n counts, err error) {
	c, err := open(ctx, path, nil, sqlite3.OPEN_READWRITE)
	if err != nil {
		return n, err
	}
	_, err = c.version()
	if err == nil {
		n, err = c.census()
	}
	if err == nil {
		opt.atStep("fold in the log")
		err = c.db.Exec("PRAGMA journal_mode = DELETE")
	}
	return n, errors.Join(err, c.close())
}

// counts is what must be the same in a copy.
type counts struct{ pages, entries, messages, rooms, devices int }

func (c *conn) census() (n counts, err error) {
	_, err = c.queryRow(func(s *sqlite3.Stmt) error {
		n = counts{s.ColumnInt(0), s.ColumnInt(1), s.ColumnInt(2), s.ColumnInt(3), s.ColumnInt(4)}
		return nil
	}, `SELECT page_count, (SELECT count(*) FROM entry), (SELECT count(*) FROM message), (SELECT count(*) FROM room), (SELECT count(*) FROM device)
	    FROM pragma_page_count`)
	return n, err
}

func putInPlace(path string) error {
	if err := os.Rename(path+newSuffix, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// remove removes a database with what SQLite puts beside it.
func remove(path string) error {
	var errs []error
	for _, suffix := range append([]string{""}, sidecars...) {
		if err := os.Remove(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// destroy overwrites a file with zeros, as far as the disk lets anybody do that,
// and removes it.
func destroy(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	left := max(size(path), 0)
	zeros := make([]byte, 1<<20)
	for left > 0 && err == nil {
		n, werr := f.Write(zeros[:min(left, int64(len(zeros)))])
		left -= int64(n)
		err = werr
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return errors.Join(remove(path), syncDir(filepath.Dir(path)))
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
