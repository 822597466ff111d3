package store

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/ncruces/go-sqlite3"
	"lukechampine.com/adiantum"
)

// This file takes over write-ahead logs that an earlier version left behind when it
// was killed, and encrypted in blocks (wal.go says why that is no longer done).

// blockSize is the length of the driver's blocks, in bytes.
const blockSize = 4096

// foldBlockLog folds such a log into the history, if there is one. When that is cut
// short the log is as it was, and the next start does it again.
func foldBlockLog(ctx context.Context, path string, opt Options) error {
	if is, err := isBlockLog(path, opt.Key); err != nil || !is {
		return err
	}
	opt.atStep("fold in the log of an earlier version")
	c, err := openVFS(ctx, path, blockVFS, opt.Key, sqlite3.OPEN_READWRITE)
	if err != nil {
		return err
	}
	_, err = c.version() // refuses what is not ours to change
	if err == nil {
		_, _, err = c.db.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	}
	return errors.Join(err, c.close())
}

// isBlockLog reports whether the log of the history at path is encrypted in blocks
// under key.
func isBlockLog(path string, key []byte) (bool, error) {
	f, err := os.Open(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	block, tweak := make([]byte, blockSize), make([]byte, 8) // that of the block at 0
	_, err = io.ReadFull(f, block)
	if err = errors.Join(err, f.Close()); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return false, err
	}
	adiantum.New(key).Decrypt(block, tweak)
	return binary.BigEndian.Uint32(block)&^1 == logMagic, nil
}
