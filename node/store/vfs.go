package store

import (
	"crypto/rand"
	"strconv"
	"sync"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum"
	cipher "lukechampine.com/adiantum"
	"lukechampine.com/adiantum/hbsh"
)

// The file systems of encrypted histories: vfsName, and blockVFS for what an earlier
// version left behind.
const (
	vfsName  = "earshot"
	blockVFS = "earshot-blocks"
)

func init() {
	files := vfs.Find("")
	blocks := adiantum.Wrap(files, &keys)
	vfs.Register(blockVFS, blocks)
	vfs.Register(vfsName, historyVFS{blocks, files})
}

// keyParameter is the parameter of a file's URI that names its key. To the driver it
// is a text from which lentKeys derives the key.
const keyParameter = "textkey"

// historyVFS encrypts the log itself (wal.go), and has the driver encrypt the rest in
// blocks, of which a page is one.
type historyVFS struct {
	vfs.VFS
	files vfs.VFS // encrypts nothing
}

// OpenFilename implements vfs.VFSFilename.
func (v historyVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	if flags&vfs.OPEN_WAL == 0 {
		return vfsutil.WrapOpenFilename(v.VFS, name, flags)
	}
	c := keys.HBSH(keys.lent(name.URIParameter(keyParameter)))
	if c == nil {
		return nil, flags, sqlite3.IOERR_BADKEY
	}
	file, out, err := vfsutil.WrapOpenFilename(v.files, name, flags)
	if err != nil {
		return nil, out, err
	}
	return &logFile{File: file, cipher: c}, out, nil
}

// keys are those of all connections.
var keys = lentKeys{byName: make(map[string][]byte)}

// lentKeys hands keys to the file systems. A file's URI has but a name of its key,
// since every part of SQLite may look at URIs. (A key given by PRAGMA comes too late:
// SQLite reads a file's header when it opens it, and the driver learns from that
// whether pages have checksums. It would learn it later, or never while the first page
// stands in the log, and fold pages into the file without them.)
type lentKeys struct {
	mu     sync.Mutex
	last   int
	byName map[string][]byte
}

// lend makes a name for a key, which is good until takeBack.
func (k *lentKeys) lend(key []byte) (name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last++
	name = strconv.Itoa(k.last)
	k.byName[name] = key
	return name
}

func (k *lentKeys) takeBack(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.byName, name)
}

// lent returns the key of that name, nil if there is none.
func (k *lentKeys) lent(name string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byName[name]
}

// KDF implements adiantum.HBSHCreator. Temporary files have no name and a random key.
func (k *lentKeys) KDF(name string) []byte {
	if name != "" {
		return k.lent(name)
	}
	key := make([]byte, KeySize)
	_, _ = rand.Read(key)
	return key
}

// HBSH implements adiantum.HBSHCreator.
func (k *lentKeys) HBSH(key []byte) *hbsh.HBSH {
	if len(key) != KeySize {
		return nil
	}
	return cipher.New(key)
}
