package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// SQLite leaves copies of rows behind where it moves them between pages, even with
// secure_delete. So a value of state is encrypted under a key that is used for
// nothing else and stands in a slot, which never moves: slots are in large blobs,
// whose overflow pages stay where they are for ever. A value is gone when its slot
// is overwritten.
const (
	slotSize     = 32   // bytes: a key of AES-256
	slotHead     = 4096 // bytes of a blob that are not used, since they may stand with its row
	slotsPerBlob = 896  // 28 KiB
	slotBlobSize = slotHead + slotsPerBlob*slotSize
)

// StateChange stores Value under Key in place of what was there. A nil Value
// removes it. See the package's promises for when the former value is gone.
type StateChange struct {
	Key   string // 1 to MaxStateKey bytes
	Value []byte
}

// MaxStateKey bounds a key of state, in bytes: twice the longest in use.
const MaxStateKey = 512

// slots knows which slots are free.
type slots struct {
	free []int64 // the next to be taken is the last
	end  int64   // all from here on are free
	have int64   // there are so many
}

// stateWrites are the changes of state of the transaction at hand. Of several of one
// key only the last is written: the key of a log changes with each message, and many
// messages may come in one transaction.
type stateWrites struct {
	order []string
	value map[string][]byte
}

// putState has the transaction change state when it ends.
func (w *writer) putState(c StateChange) error {
	if len(c.Key) == 0 || len(c.Key) > MaxStateKey {
		return chat.Errorf(chat.CodeInternal, "Something was to be stored under a name of %d bytes. Report these words.", len(c.Key))
	}
	s := &w.state
	if _, again := s.value[c.Key]; !again {
		s.order = append(s.order, c.Key)
	}
	s.value[c.Key] = c.Value
	return nil
}

// flushState writes what putState has collected.
func (w *writer) flushState() error {
	for _, key := range w.state.order {
		if err := w.writeState(key, w.state.value[key]); err != nil {
			return err
		}
	}
	w.state.order = w.state.order[:0]
	clear(w.state.value)
	return nil
}

func (w *writer) writeState(name string, value []byte) error {
	var slot int64
	found, err := w.queryRow(func(s *sqlite3.Stmt) error {
		slot = s.ColumnInt64(0)
		return nil
	}, `SELECT slot FROM state WHERE name = ?`, []byte(name))
	if err != nil {
		return err
	}
	var key [slotSize]byte
	if value == nil {
		if !found {
			return nil
		}
		if err := w.putSlot(slot, &key); err != nil {
			return err
		}
		if w.slots != nil {
			w.slots.free = append(w.slots.free, slot)
		}
		return w.exec(`DELETE FROM state WHERE name = ?`, []byte(name))
	}
	if !found {
		if slot, err = w.takeSlot(); err != nil {
			return err
		}
	}
	_, _ = rand.Read(key[:])
	if err := w.putSlot(slot, &key); err != nil {
		return err
	}
	sealed := stateCipher(&key).Seal(nil, stateNonce[:], value, []byte(name))
	return w.exec(`INSERT INTO state (name, slot, value) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		[]byte(name), slot, sealed)
}

// stateNonce is always the same, since a key encrypts one value.
var stateNonce [12]byte

func stateCipher(key *[slotSize]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of another length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // a block of another size
	}
	return aead
}

// putSlot overwrites a slot where it stands.
func (w *writer) putSlot(slot int64, key *[slotSize]byte) error {
	blob, err := w.db.OpenBlob("main", "state_key", "slots", 1+slot/slotsPerBlob, true)
	if err != nil {
		return err
	}
	_, err = blob.Seek(slotHead+slot%slotsPerBlob*slotSize, io.SeekStart)
	if err == nil {
		_, err = blob.Write(key[:])
	}
	return errors.Join(err, blob.Close())
}

// takeSlot returns a free slot; it makes more where there is none.
func (w *writer) takeSlot() (int64, error) {
	if w.slots == nil {
		s, err := w.loadSlots()
		if err != nil {
			return 0, err
		}
		w.slots = s
	}
	s := w.slots
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot, nil
	}
	if s.end == s.have {
		if err := w.exec(`INSERT INTO state_key (id, slots) VALUES (?, zeroblob(?))`, 1+s.have/slotsPerBlob, slotBlobSize); err != nil {
			return 0, err
		}
		s.have += slotsPerBlob
	}
	s.end++
	return s.end - 1, nil
}

func (w *writer) loadSlots() (*slots, error) {
	var used []int64
	if err := w.query(func(stmt *sqlite3.Stmt) error {
		used = append(used, stmt.ColumnInt64(0))
		return nil
	}, `SELECT slot FROM state`); err != nil {
		return nil, err
	}
	slices.Sort(used)
	s := &slots{}
	for _, slot := range used {
		for ; s.end < slot; s.end++ {
			s.free = append(s.free, s.end)
		}
		s.end = slot + 1
	}
	_, err := w.queryRow(func(stmt *sqlite3.Stmt) error {
		s.have = stmt.ColumnInt64(0) * slotsPerBlob
		return nil
	}, `SELECT count(*) FROM state_key`)
	return s, err
}

// State returns what is stored under every key that begins with prefix.
func (s *Store) State(ctx context.Context, prefix string) (map[string][]byte, error) {
	var state map[string][]byte
	err := s.read(ctx, func(c *conn) error {
		state = make(map[string][]byte)
		var blobs [][]byte
		add := func(stmt *sqlite3.Stmt) error {
			name, slot := stmt.ColumnBlob(0, nil), stmt.ColumnInt64(1)
			if slot < 0 || slot/slotsPerBlob >= int64(len(blobs)) {
				return fmt.Errorf("%w: state without a key", errDecode)
			}
			at := slotHead + slot%slotsPerBlob*slotSize
			key := (*[slotSize]byte)(blobs[slot/slotsPerBlob][at:])
			value, err := stateCipher(key).Open([]byte{}, stateNonce[:], stmt.ColumnRawBlob(2), name)
			if err != nil {
				return fmt.Errorf("%w: state: %v", errDecode, err)
			}
			state[string(name)] = value
			return nil
		}
		return c.snapshot(func() error {
			if err := c.query(func(stmt *sqlite3.Stmt) error {
				b := stmt.ColumnBlob(0, nil)
				if len(b) != slotBlobSize {
					return fmt.Errorf("%w: keys of state", errDecode)
				}
				blobs = append(blobs, b)
				return nil
			}, `SELECT slots FROM state_key ORDER BY id`); err != nil {
				return err
			}
			if end := behind(prefix); end != nil {
				return c.query(add, `SELECT name, slot, value FROM state WHERE name >= ? AND name < ?`, []byte(prefix), end)
			}
			return c.query(add, `SELECT name, slot, value FROM state WHERE name >= ?`, []byte(prefix))
		})
	})
	if err != nil {
		return nil, err
	}
	return state, nil
}

// behind returns the first key behind all that begin with prefix; nil if there is
// none.
func behind(prefix string) []byte {
	end := []byte(prefix)
	for len(end) > 0 {
		if end[len(end)-1]++; end[len(end)-1] != 0 {
			return end
		}
		end = end[:len(end)-1]
	}
	return nil
}
