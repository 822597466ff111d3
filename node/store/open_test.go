package store

import (
	"path/filepath"
	"sync"
	"testing"
)

// Nodes of one process open their stores at the same moment. Every connection has a
// SQLite of its own, with its memory and tables, so the race detector must find nothing.
func TestManyStoresOpenAtOnce(t *testing.T) {
	dir := t.TempDir()
	start := make(chan struct{})
	var opening sync.WaitGroup
	for i := range 12 {
		opening.Go(func() {
			<-start
			home := filepath.Join(dir, string(rune('a'+i)))
			s, err := Open(t.Context(), home, Options{Key: testKey})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Search(t.Context(), "hello", nil, 1); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	opening.Wait()
}
