package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
	"lukechampine.com/adiantum/hbsh"
)

// This file encrypts the write-ahead log, in the units in which SQLite writes it:
// its header, and frames of 24 bytes and a page. Blocks of a fixed size, which is how
// the driver would encrypt it, hold the end of one frame and the beginning of the
// next. Appending to the log would then rewrite a block that others read, every bit
// of it: no file system promises that a read sees such a write whole or not at all,
// so that readers would now and then see noise in place of a page; and a power
// failure in the midst of it would destroy a frame that had been synced before.
//
// So each part is encrypted for itself, and stands where SQLite put it. SQLite never
// writes a frame that others may read.
//
// SQLite checks the sums of frames only after a crash. But where a bit of a part was
// changed on the disk all of it decrypts to noise, the frame's header too, and that must
// hold the log's salts.

// The parts of SQLite's format of the write-ahead log that matter here, in bytes:
// https://sqlite.org/fileformat2.html#the_write_ahead_log
const (
	logMagic    = 0x377f0682 // with the order of the checksums' bytes in its last bit
	logHeader   = 32
	frameHeader = 24
	dbPage      = 4096 // SQLite's default, which is that of every history
	frameSize   = frameHeader + dbPage
)

// maxHeld bounds the frames in memory, in bytes; a transaction may have more.
const maxHeld = 16 * frameSize

// logFile is the write-ahead log. It keeps the frames of a transaction until that
// which commits it, and writes them in one piece: nobody looks at the others before.
// What does not look like frames in their order is written as it comes.
type logFile struct {
	vfs.File
	cipher  *hbsh.HBSH
	held    []byte          // written by SQLite, and not to the file yet
	at      int64           // where it goes
	end     int64           // where the latest write ended
	inFrame bool            // held ends with a frame's header
	commits bool            // which is that of the transaction's last frame
	head    [logHeader]byte // the log's header, as it was read last
	known   bool            // head was read since this connection wrote it
	buf     [frameSize]byte // the part at hand
}

// part returns where the part begins that holds the byte at off, and room for it.
func (f *logFile) part(off int64) (start int64, part []byte) {
	if off < logHeader {
		return 0, f.buf[:logHeader]
	}
	return off - (off-logHeader)%frameSize, f.buf[:]
}

// logTweak tells the parts of a log from each other, and from the database's pages,
// whose tweak is their offset.
func logTweak(start int64) []byte {
	return binary.LittleEndian.AppendUint64(nil, 1<<63|uint64(start))
}

// WriteAt implements vfs.File.
func (f *logFile) WriteAt(p []byte, off int64) (int, error) {
	follows := off == f.end && off > 0
	f.end = off + int64(len(p))
	start, _ := f.part(off)
	switch {
	case follows && f.inFrame && len(p) == dbPage:
		f.held, f.inFrame = append(f.held, p...), false
		if f.commits || len(f.held) >= maxHeld {
			return len(p), f.flush()
		}
		return len(p), nil
	case follows && !f.inFrame && len(p) == frameHeader && off == start:
		if len(f.held) == 0 {
			f.at = off
		}
		f.held, f.inFrame = append(f.held, p...), true
		f.commits = binary.BigEndian.Uint32(p[4:]) != 0 // the size of the database from then on
		return len(p), nil
	case off == 0 && len(p) == logHeader && binary.BigEndian.Uint32(p[8:]) != dbPage:
		return 0, fmt.Errorf("store: a log of pages of %d bytes, want %d", binary.BigEndian.Uint32(p[8:]), dbPage)
	}
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.write(p, off)
}

// flush writes what is held. If that fails it is given up, as the transaction is.
func (f *logFile) flush() error {
	whole := len(f.held) - len(f.held)%frameSize
	frames, rest := f.held[:whole], f.held[whole:]
	f.held, f.inFrame = f.held[:0], false
	for i := 0; i < whole; i += frameSize {
		f.cipher.Encrypt(frames[i:i+frameSize], logTweak(f.at+int64(i)))
	}
	var err error
	if whole > 0 {
		_, err = f.File.WriteAt(frames, f.at)
	}
	if err == nil && len(rest) > 0 {
		_, err = f.write(rest, f.at+int64(whole))
	}
	if err != nil {
		f.end = 0
	}
	return err
}

// write writes p through, part by part.
func (f *logFile) write(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		start, part := f.part(off + int64(n))
		skip := int(off + int64(n) - start)
		if skip > 0 || len(p)-n < len(part) {
			switch err := f.read(part, start); err {
			case nil:
			case io.EOF: // the part begins here, or its writing was cut short
				clear(part)
			default:
				return n, err
			}
		}
		if start == 0 {
			f.known = false
		}
		m := copy(part[skip:], p[n:])
		f.cipher.Encrypt(part, logTweak(start))
		if _, err := f.File.WriteAt(part, start); err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// read reads and decrypts a part; io.EOF where the file does not hold all of it.
func (f *logFile) read(part []byte, start int64) error {
	if n, err := f.File.ReadAt(part, start); n < len(part) {
		return err
	}
	f.cipher.Decrypt(part, logTweak(start))
	return nil
}

// ReadAt implements vfs.File.
func (f *logFile) ReadAt(p []byte, off int64) (n int, err error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	for n < len(p) {
		start, part := f.part(off + int64(n))
		if err := f.read(part, start); err != nil {
			return n, err
		}
		skip := int(off + int64(n) - start)
		// Whoever reads the header with the page checks it.
		if start > 0 && skip >= frameHeader && !f.sound(part) {
			return n, sqlite3.IOERR_DATA
		}
		n += copy(p[n:], part[skip:])
	}
	return n, nil
}

// sound reports whether a frame is one of this log. The log does not begin anew while
// anybody reads a page of it.
func (f *logFile) sound(frame []byte) bool {
	salts := frame[8:16]
	if f.known && bytes.Equal(salts, f.head[16:24]) {
		return true
	}
	f.known = f.read(f.head[:], 0) == nil
	return f.known && bytes.Equal(salts, f.head[16:24])
}

// Truncate implements vfs.File. It cuts no part in two.
func (f *logFile) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	if start, part := f.part(size); start < size {
		size = start + int64(len(part))
	}
	return f.File.Truncate(size)
}

// Sync implements vfs.File.
func (f *logFile) Sync(flags vfs.SyncFlag) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

// Size implements vfs.File.
func (f *logFile) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

// Close implements vfs.File.
func (f *logFile) Close() error {
	err := f.flush()
	if e := f.File.Close(); err == nil {
		err = e
	}
	return err
}

// Unwrap implements vfs.FileUnwrap.
func (f *logFile) Unwrap() vfs.File { return f.File }
