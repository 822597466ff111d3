package store

import (
	"encoding/binary"
	"errors"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum" // encrypts pages and the write-ahead log
)

// This file makes a commit cheaper. The write-ahead log is written in frames of 24
// bytes and a page. Each frame touches three of the encryption's blocks of 4 KiB in
// part only, and each of those would be read, decrypted, encrypted and written
// again. So the frames of a transaction are kept until that which commits it: then
// they are encrypted, and written in one piece.

// vfsName is the file system of encrypted histories.
const vfsName = "earshot"

func init() { vfs.Register(vfsName, framesAtOnce{adiantum.Wrap(blocksAtOnce{vfs.Find("")}, nil)}) }

// framesAtOnce lies above the encryption.
type framesAtOnce struct{ vfs.VFS }

// OpenFilename implements vfs.VFSFilename.
func (v framesAtOnce) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, out, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err != nil || flags&vfs.OPEN_WAL == 0 {
		return file, out, err
	}
	below, ok := vfsutil.UnwrapFile[*blockFile](file)
	if !ok {
		return nil, out, errors.Join(errors.New("store: the encryption hides the file below it"), file.Close())
	}
	return &frameFile{File: file, below: below}, out, nil
}

// The parts of SQLite's format of the write-ahead log that matter here:
// https://sqlite.org/fileformat2.html#the_write_ahead_log
const (
	frameHeader = 24      // bytes, before the page
	maxHeld     = 1 << 16 // bytes of frames in memory; a transaction may have more
)

// frameFile keeps the frames of a transaction until that which commits it: nobody
// else looks at the others before. What does not look like frames in their order is
// written as it comes.
type frameFile struct {
	vfs.File
	below   *blockFile
	held    []byte // written by SQLite, and not to the file yet
	at      int64  // where it goes
	end     int64  // where the latest write ended
	inFrame bool   // held ends with a frame's header
	commits bool   // which is that of the transaction's last frame
}

// WriteAt implements vfs.File.
func (f *frameFile) WriteAt(p []byte, off int64) (int, error) {
	follows := off == f.end && off > 0
	f.end = off + int64(len(p))
	switch {
	case follows && f.inFrame:
		f.held, f.inFrame = append(f.held, p...), false
		if f.commits || len(f.held) >= maxHeld {
			return len(p), f.flush()
		}
		return len(p), nil
	case follows && len(p) == frameHeader:
		if len(f.held) == 0 {
			f.at = off
		}
		f.held, f.inFrame = append(f.held, p...), true
		f.commits = binary.BigEndian.Uint32(p[4:]) != 0 // the size of the database from then on
		return len(p), nil
	}
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// flush writes what is held. If that fails it is given up, as the transaction is.
func (f *frameFile) flush() error {
	if len(f.held) == 0 {
		return nil
	}
	f.below.gather()
	_, err := f.File.WriteAt(f.held, f.at)
	err = errors.Join(err, f.below.flush())
	if err != nil {
		f.end = 0
	}
	f.held, f.inFrame = f.held[:0], false
	return err
}

// ReadAt implements vfs.File.
func (f *frameFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// Truncate implements vfs.File.
func (f *frameFile) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// Sync implements vfs.File.
func (f *frameFile) Sync(flags vfs.SyncFlag) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

// Size implements vfs.File.
func (f *frameFile) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

// Close implements vfs.File.
func (f *frameFile) Close() error { return errors.Join(f.flush(), f.File.Close()) }

// Unwrap implements vfs.FileUnwrap.
func (f *frameFile) Unwrap() vfs.File { return f.File }

// blocksAtOnce lies below the encryption.
type blocksAtOnce struct{ vfs.VFS }

// OpenFilename implements vfs.VFSFilename.
func (v blocksAtOnce) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, out, err := vfsutil.WrapOpenFilename(v.VFS, name, flags)
	if err == nil && flags&vfs.OPEN_WAL != 0 {
		file = &blockFile{File: file}
	}
	return file, out, err
}

// blockFile puts blocks that are written one after the other together, from gather
// to flush. Nothing that it holds is read before.
type blockFile struct {
	vfs.File
	gathers bool
	held    []byte
	at      int64
}

func (f *blockFile) gather() { f.gathers = true }

// WriteAt implements vfs.File.
func (f *blockFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.gathers || len(f.held) > 0 && off != f.at+int64(len(f.held)) {
		return f.File.WriteAt(p, off)
	}
	if len(f.held) == 0 {
		f.at = off
	}
	f.held = append(f.held, p...)
	return len(p), nil
}

func (f *blockFile) flush() error {
	_, err := f.File.WriteAt(f.held, f.at)
	f.held, f.gathers = f.held[:0], false
	return err
}
