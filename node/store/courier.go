package store

import (
	"context"

	"github.com/ncruces/go-sqlite3"
)

// schemaCourier is envelopes: those held for others, this person's own wherever they
// are, and what is remembered of those that came. meta is in front of bytes, so that
// reading all of it does not visit the pages that bytes fill.
const schemaCourier = `
CREATE TABLE courier (
	id    INTEGER PRIMARY KEY,
	kind  INTEGER NOT NULL,
	name  BLOB NOT NULL,
	meta  BLOB NOT NULL,
	bytes BLOB,
	UNIQUE (kind, name)
) STRICT;`

// CourierKind is what a row about an envelope is. The numbers are append-only.
type CourierKind uint8

const (
	CourierHeld    CourierKind = 1 // held for others
	CourierParcel  CourierKind = 2 // this person's own
	CourierProof   CourierKind = 3 // that one has arrived, for its depositor
	CourierArrival CourierKind = 4 // one that was for this person and has come
)

// CourierID names an envelope.
type CourierID [16]byte

// CourierChange stores what is known of an envelope, or removes it with a nil Meta. A
// nil Bytes leaves the bytes as they are.
type CourierChange struct {
	Kind  CourierKind
	ID    CourierID
	Meta  []byte
	Bytes []byte
}

// CourierRow is what is stored of an envelope but its bytes.
type CourierRow struct {
	ID   CourierID
	Meta []byte
}

func (w *writer) putCourier(c *CourierChange) error {
	if c.Meta == nil {
		return w.exec(`DELETE FROM courier WHERE kind = ? AND name = ?`, int64(c.Kind), c.ID[:])
	}
	return w.exec(`INSERT INTO courier (kind, name, meta, bytes) VALUES (?, ?, ?, ?)
		ON CONFLICT (kind, name) DO UPDATE SET meta = excluded.meta, bytes = ifnull(excluded.bytes, bytes)`,
		int64(c.Kind), c.ID[:], c.Meta, c.Bytes)
}

// Courier returns all rows of a kind, in the order in which they came.
func (s *Store) Courier(ctx context.Context, kind CourierKind) ([]CourierRow, error) {
	var rows []CourierRow
	err := s.read(ctx, func(c *conn) error {
		rows = nil
		return c.query(func(stmt *sqlite3.Stmt) error {
			r := CourierRow{Meta: stmt.ColumnBlob(1, nil)}
			if err := fixed(r.ID[:], stmt.ColumnRawBlob(0)); err != nil {
				return err
			}
			rows = append(rows, r)
			return nil
		}, `SELECT name, meta FROM courier WHERE kind = ? ORDER BY id`, int64(kind))
	})
	return rows, err
}

// CourierBytes returns the bytes of an envelope, nil if there are none.
func (s *Store) CourierBytes(ctx context.Context, kind CourierKind, id CourierID) ([]byte, error) {
	var b []byte
	err := s.read(ctx, func(c *conn) error {
		b = nil
		_, err := c.queryRow(func(stmt *sqlite3.Stmt) error {
			if stmt.ColumnType(0) != sqlite3.NULL {
				b = stmt.ColumnBlob(0, nil)
			}
			return nil
		}, `SELECT bytes FROM courier WHERE kind = ? AND name = ?`, int64(kind), id[:])
		return err
	})
	return b, err
}

// PutCourier stores changes: all of them, or none. done may be nil; see Append for
// when it is called.
func (s *Store) PutCourier(changes []CourierChange, done func(error)) {
	s.submit(len(changes), func(w *writer) error {
		for i := range changes {
			if err := w.putCourier(&changes[i]); err != nil {
				return err
			}
		}
		return nil
	}, done)
}
