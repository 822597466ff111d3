package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/fts5"

	"earshot/chat"
)

// Settings of every connection. A commit does not wait for the disk: see Store.Sync.
// Where a system has a stronger word for that (macOS), folding the log uses it, too:
// what was confirmed must not be lost on its way into the file. temp_store keeps what is said out of temporary
// files. The caches are in KiB (negative by SQLite's convention): the writer's
// holds the hot pages of its indexes.
const (
	writerPragmas = `
		PRAGMA synchronous = NORMAL;
		PRAGMA checkpoint_fullfsync = ON;
		PRAGMA temp_store = MEMORY;
		PRAGMA secure_delete = ON;
		PRAGMA cache_size = -8192;`
	readerPragmas = `
		PRAGMA query_only = ON;
		PRAGMA temp_store = MEMORY;
		PRAGMA cache_size = -1024;`
)

// conn is a connection with its prepared statements. Not for concurrent use.
type conn struct {
	db    *sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
	key   string // the name of the key; "" in plain text
}

func openWriter(ctx context.Context, path string, key []byte) (*conn, error) {
	c, err := open(ctx, path, key, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
	if err != nil {
		return nil, err
	}
	if err := c.setUp(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// setUp brings the file to this version's schema, if it is ours at all. Nothing
// is written before that is known.
func (c *conn) setUp() error {
	version, err := c.version()
	if err != nil {
		return err
	}
	if version == 0 {
		// Page checksums must be chosen before the first page is written.
		if err := c.db.EnableChecksums("main"); err != nil {
			return err
		}
	}
	var mode string
	if _, err := c.queryRow(func(s *sqlite3.Stmt) error {
		mode = s.ColumnText(0)
		return nil
	}, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	if mode != "wal" {
		return chat.Errorf(chat.CodeHomeBroken, "The disk that holds Earshot's home can't share memory between readers and writers (journal mode %s). "+
			"Choose a home on a local disk with --home.", mode)
	}
	if err := c.db.Exec(writerPragmas); err != nil {
		return err
	}
	return c.migrate(version)
}

// keepLog says whether the write-ahead log is left as it is when this connection is
// the last to be closed. Else SQLite folds into the file what it can read of the log,
// and removes it: also where the key was wrong, and it could read nothing.
func (c *conn) keepLog(keep bool) error {
	_, err := c.db.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, keep)
	return err
}

// openReader uses a read-write handle because a write-ahead log can't be read
// without its shared memory; query_only keeps it from writing.
func openReader(ctx context.Context, path string, key []byte) (*conn, error) {
	c, err := open(ctx, path, key, sqlite3.OPEN_READWRITE)
	if err != nil {
		return nil, err
	}
	if err := c.db.Exec(readerPragmas); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// open opens a file that is encrypted under key; with no key, one in plain text.
func open(ctx context.Context, path string, key []byte, flags sqlite3.OpenFlag) (*conn, error) {
	if key == nil {
		return openVFS(ctx, path, "", nil, flags)
	}
	return openVFS(ctx, path, vfsName, key, flags)
}

// openVFS opens a file through one of SQLite's file systems.
func openVFS(ctx context.Context, path, vfs string, key []byte, flags sqlite3.OpenFlag) (*conn, error) {
	// Opening must not be cut short half-way by ctx and then be taken for damage.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &conn{stmts: make(map[string]*sqlite3.Stmt)}
	name := uri(path, vfs)
	if key != nil {
		c.key = keys.lend(key)
		name += "&" + keyParameter + "=" + c.key
	}
	var err error
	if c.db, err = sqlite3.OpenFlags(name, flags|sqlite3.OPEN_URI); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := c.keepLog(true); err != nil { // until it is known to be ours
		return nil, errors.Join(err, c.close())
	}
	if err := errors.Join(c.db.BusyTimeout(busyTimeout), fts5.Register(c.db)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// uriEscapes are for what would end the path of a URI, or stand for something else.
var uriEscapes = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// uri names an absolute path to SQLite, which opens it through a VFS.
func uri(path, vfs string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive of Windows
	}
	path = "file://" + uriEscapes.Replace(path)
	if vfs != "" {
		path += "?vfs=" + vfs
	}
	return path
}

// close closes a connection with its statements; nil is closed already.
func (c *conn) close() error {
	if c == nil {
		return nil
	}
	for _, stmt := range c.stmts {
		_ = stmt.Close() // repeats the error of its last step
	}
	clear(c.stmts)
	defer keys.takeBack(c.key)
	return c.db.Close()
}

// prepare returns the statement for sql, ready to step, with args bound. The
// caller resets it.
func (c *conn) prepare(sql string, args []any) (*sqlite3.Stmt, error) {
	stmt := c.stmts[sql]
	if stmt == nil {
		var err error
		if stmt, _, err = c.db.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return nil, err
		}
		c.stmts[sql] = stmt
	}
	for i, arg := range args {
		if err := bind(stmt, i+1, arg); err != nil {
			return nil, err
		}
	}
	return stmt, nil
}

func bind(stmt *sqlite3.Stmt, i int, arg any) error {
	switch v := arg.(type) {
	case nil:
		return stmt.BindNull(i)
	case bool:
		return stmt.BindBool(i, v)
	case int:
		return stmt.BindInt(i, v)
	case int64:
		return stmt.BindInt64(i, v)
	case uint64:
		return stmt.BindInt64(i, int64(v))
	case string:
		return stmt.BindText(i, v)
	case []byte:
		return stmt.BindBlob(i, v)
	}
	return fmt.Errorf("store: no way to bind a %T", arg)
}

// exec runs a statement that yields no rows.
func (c *conn) exec(sql string, args ...any) error {
	stmt, err := c.prepare(sql, args)
	if err != nil {
		return err
	}
	return stmt.Exec()
}

// query calls row for every row. row must copy what it keeps.
func (c *conn) query(row func(*sqlite3.Stmt) error, sql string, args ...any) error {
	stmt, err := c.prepare(sql, args)
	if err != nil {
		return err
	}
	for stmt.Step() {
		if err := row(stmt); err != nil {
			_ = stmt.Reset()
			return err
		}
	}
	err = stmt.Err()
	if again := stmt.Reset(); err == nil {
		err = again // else it repeats the error of the last step
	}
	return err
}

// queryRow calls row for the first row and reports whether there was one.
func (c *conn) queryRow(row func(*sqlite3.Stmt) error, sql string, args ...any) (bool, error) {
	found := false
	err := c.query(func(stmt *sqlite3.Stmt) error {
		if found {
			return errMoreRows
		}
		found = true
		return row(stmt)
	}, sql, args...)
	return found, err
}

// errMoreRows is a defect of this package: a query for one row found two.
var errMoreRows = errors.New("store: more rows than one")
