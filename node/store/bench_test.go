package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"earshot/chat"
)

// The large history is made once and kept between runs:
//
//	EARSHOT_BENCH_DIR=/var/tmp/earshot-bench EARSHOT_BENCH_MESSAGES=1000000 \
//	  go test ./node/store -run '^$' -bench Large -benchtime 2s
//
// Without these variables it is temporary and has 20,000 messages.

// words makes texts of about 60 bytes whose words are as unequally frequent as
// those of a language.
type words struct {
	rand *rand.Rand
	zipf *rand.Zipf
}

func newWords(seed uint64) *words {
	r := rand.New(rand.NewPCG(seed, 1))
	return &words{r, rand.NewZipf(r, 1.1, 8, 50_000)}
}

func (w *words) text() string {
	var sb strings.Builder
	for range 4 + w.rand.IntN(12) {
		fmt.Fprintf(&sb, "w%x ", w.zipf.Uint64()*2654435761%1_000_003)
	}
	return sb.String()[:sb.Len()-1]
}

// records makes n records of several writers in one room, in the order of their
// clocks, from the writers' states on.
func records(writers []*writerOf, n int, hlc *chat.HLC, w *words) []Record {
	recs := make([]Record, n)
	texts := make([]string, n)
	clocks := make([]chat.HLC, n)
	for i := range recs {
		*hlc += chat.HLC(1 + w.rand.IntN(1_000_000))
		texts[i], clocks[i] = w.text(), *hlc
	}
	// Signing is what takes the time, and every writer's log is its own chain.
	var wg sync.WaitGroup
	for k := range writers {
		wg.Go(func() {
			for i := k; i < n; i += len(writers) {
				recs[i] = writers[k].say(clocks[i], texts[i])
			}
		})
	}
	wg.Wait()
	return recs
}

func benchWriters(room chat.RoomID, n int) []*writerOf {
	var writers []*writerOf
	for i := range n {
		writers = append(writers, newWriter(room, fmt.Sprint("writer ", i)))
	}
	return writers
}

func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1, 100, 500} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			s := openStore(b, b.TempDir())
			hlc := noon
			recs := records(benchWriters(chat.OpenRoom("#lobby"), 50), b.N, &hlc, newWords(1))
			b.ResetTimer()
			for len(recs) > 0 {
				n := min(batch, len(recs))
				if _, err := s.store(recs[:n]...); err != nil {
					b.Fatal(err)
				}
				recs = recs[n:]
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
	b.Run("stream", func(b *testing.B) { // one by one, without waiting for each
		s := openStore(b, b.TempDir())
		hlc := noon
		recs := records(benchWriters(chat.OpenRoom("#lobby"), 50), b.N, &hlc, newWords(1))
		b.ResetTimer()
		var wg sync.WaitGroup
		wg.Add(len(recs))
		for i := range recs {
			s.Append(recs[i:i+1], func(_ []chat.Cursor, err error) {
				if err != nil {
					b.Error(err)
				}
				wg.Done()
			})
		}
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
}

// BenchmarkCommit stores what a message comes with: in an open room nothing, in a
// sealed one the state of the key it was opened with. One by one, each is waited for;
// else they come faster than they are stored.
func BenchmarkCommit(b *testing.B) {
	for _, kind := range []chat.RoomKind{chat.RoomOpen, chat.RoomPrivate} {
		for _, way := range []string{"one by one", "stream"} {
			b.Run(string(kind)+"/"+way, func(b *testing.B) {
				s := openStore(b, b.TempDir())
				hlc, writers, state := noon, 10, make([]byte, 400)
				recs := records(benchWriters(chat.OpenRoom("#lobby"), writers), b.N, &hlc, newWords(1))
				batches := make([]Batch, len(recs))
				for i := range recs {
					batches[i].Records = recs[i : i+1]
					if kind.Sealed() {
						batches[i].State = []StateChange{{fmt.Sprintf("seal/epoch/%x/%x/1", recs[i].Room, recs[i].Entry.Device), state}}
					}
				}
				b.ResetTimer()
				if way == "one by one" {
					for i := range batches {
						if _, err := s.commit(batches[i]); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				var wg sync.WaitGroup
				wg.Add(len(batches))
				for i := range batches {
					s.Commit(batches[i], func(_ []chat.Cursor, err error) {
						if err != nil {
							b.Error(err)
						}
						wg.Done()
					})
				}
				wg.Wait()
			})
		}
	}
}

// BenchmarkConfirm stores messages and has the disk confirm each: one by one, each is
// waited for; else they come faster than the disk confirms.
func BenchmarkConfirm(b *testing.B) {
	for _, way := range []string{"one by one", "stream"} {
		b.Run(way, func(b *testing.B) {
			s := openStore(b, b.TempDir())
			hlc := noon
			recs := records(benchWriters(chat.OpenRoom("#lobby"), 50), b.N, &hlc, newWords(1))
			b.ResetTimer()
			var told sync.WaitGroup
			for i := range recs {
				told.Add(1)
				s.Append(recs[i:i+1], func(_ []chat.Cursor, err error) {
					if err != nil {
						b.Error(err)
					}
					s.Sync(func(err error) {
						if err != nil {
							b.Error(err)
						}
						told.Done()
					})
				})
				if way == "one by one" {
					told.Wait()
				}
			}
			told.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// large opens the large history, and makes it where it is missing.
func large(b *testing.B) (dir string, room chat.RoomID) {
	n := 20_000
	if v := os.Getenv("EARSHOT_BENCH_MESSAGES"); v != "" {
		if _, err := fmt.Sscan(v, &n); err != nil {
			b.Fatal(err)
		}
	}
	if dir = os.Getenv("EARSHOT_BENCH_DIR"); dir == "" {
		dir = b.TempDir()
	}
	dir = filepath.Join(dir, fmt.Sprint(n))
	room = chat.OpenRoom("#lobby")
	if size(filepath.Join(dir, FileName)) > 0 {
		return dir, room
	}
	s, err := Open(context.Background(), dir+".part", Options{Key: testKey})
	if err != nil {
		b.Fatal(err)
	}
	s.PutRoom(RoomChange{Room: room, Name: "#lobby", Kind: chat.RoomOpen, Joined: true, At: noon.Time()}, nil)
	hlc, w, writers := noon, newWords(2), benchWriters(room, 200)
	for left := n; left > 0; {
		k := min(left, 10_000)
		recs := records(writers, k, &hlc, w)
		for len(recs) > 0 {
			m := min(len(recs), maxBatch)
			mustStore(b, s, recs[:m]...)
			recs = recs[m:]
		}
		left -= k
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	if err := os.Rename(dir+".part", dir); err != nil {
		b.Fatal(err)
	}
	return dir, room
}

func BenchmarkLarge(b *testing.B) {
	dir, room := large(b)
	ctx := b.Context()
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(ctx, dir, Options{Key: testKey})
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open to ready", func(b *testing.B) { // what a node reads before it is ready
		for b.Loop() {
			s, err := Open(ctx, dir, Options{Key: testKey})
			if err != nil {
				b.Fatal(err)
			}
			_, err1 := s.Rooms(ctx)
			_, err2 := s.Logs(ctx)
			_, err3 := s.Devices(ctx)
			_, err4 := s.Messages(ctx, room, MessageQuery{})
			if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
				b.Fatal(err1, err2, err3, err4)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	s := openStore(b, dir)
	b.Run("page", func(b *testing.B) {
		q := MessageQuery{Limit: 50}
		for b.Loop() {
			page, err := s.Messages(ctx, room, q)
			if err != nil {
				b.Fatal(err)
			}
			if q.Before = (chat.EntryID{}); len(page) > 0 {
				q.Before = page[0].ID
			}
		}
	})
	for name, query := range map[string]string{"rare": "w7a69", "common": "w0", "two": "w0 w7a69", "prefix": "w7a"} {
		b.Run("search/"+name, func(b *testing.B) {
			hits := 0
			for b.Loop() {
				page, err := s.Search(ctx, query, &room, 50)
				if err != nil {
					b.Fatal(err)
				}
				hits = len(page)
			}
			b.ReportMetric(float64(hits), "hits")
		})
	}
	b.Run("missing/all", func(b *testing.B) {
		n, at := 0, Position{}
		for b.Loop() {
			entries, next, err := s.Missing(ctx, room, nil, at, chat.MaxBatch, 512<<10)
			if err != nil {
				b.Fatal(err)
			}
			if n, at = n+len(entries), next; len(entries) == 0 {
				at = Position{}
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
	})
	logs, err := s.Logs(ctx)
	if err != nil {
		b.Fatal(err)
	}
	have := make(map[chat.LogID]uint64)
	for _, l := range logs {
		have[l.Log] = l.LastSeq
	}
	have[logs[0].Log] = 1                   // one whole log
	have[logs[1].Log] = logs[1].LastSeq - 1 // one tail
	b.Run("missing/one log", func(b *testing.B) {
		for b.Loop() {
			if entries, _, err := s.Missing(ctx, room, have, Position{}, chat.MaxBatch, 512<<10); err != nil || len(entries) == 0 {
				b.Fatal(len(entries), err)
			}
		}
	})
	have[logs[0].Log] = logs[0].LastSeq
	b.Run("missing/one tail", func(b *testing.B) {
		for b.Loop() {
			if entries, _, err := s.Missing(ctx, room, have, Position{}, chat.MaxBatch, 512<<10); err != nil || len(entries) != 1 {
				b.Fatal(len(entries), err)
			}
		}
	})
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	b.Logf("file %d MB, Go heap in use %d MB, %s", size(filepath.Join(dir, FileName))>>20, mem.HeapInuse>>20, resident())
}

// resident returns the process's resident memory as the system tells it.
func resident() string {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "resident memory unknown"
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "RssAnon") {
			return strings.TrimSpace(line)
		}
	}
	return "resident memory unknown"
}
