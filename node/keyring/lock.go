package keyring

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"earshot/chat"
)

// Lock keeps other nodes off a home for as long as it is held. The operating
// system holds it for the process, so it ends with the process however that dies.
type Lock struct {
	home    string
	file    *flock.Flock
	unclean bool
	mark    chat.HLC
}

// holder says who holds the lock, for the sentence that another process prints. It
// stands in a file of its own, since on Windows a locked file can't be read.
type holder struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	Boot  string    `json:"boot,omitempty"` // which run of the operating system; "" if unknown
}

// maxSmallFile bounds what is read of any file in the home, in bytes.
const maxSmallFile = 16 << 10

// Acquire makes the home where it is missing and locks it. If another process
// holds it, the error is CodeHomeLocked and names that process.
func Acquire(home string) (*Lock, error) {
	if err := makeHome(home); err != nil {
		return nil, err
	}
	file := flock.New(filepath.Join(home, lockFile), flock.SetPermissions(0o600))
	ok, err := file.TryLock()
	if err != nil {
		return nil, homeFailed(home, errors.Join(err, file.Close()))
	}
	last, found := readHolder(home)
	if !ok {
		return nil, errors.Join(locked(home, last, found), file.Close())
	}
	// A process that died in this run of the system lost nothing it had stored.
	l := &Lock{home: home, file: file, unclean: found && (last.Boot == "" || last.Boot != bootID())}
	mark, marked, err := readMark(home)
	if err != nil {
		return nil, homeFailed(home, errors.Join(err, file.Close()))
	}
	if l.mark = mark; marked && mark == 0 {
		l.unclean = true
	}
	elsewhere, err := moved(home)
	if err != nil {
		return nil, homeFailed(home, errors.Join(err, file.Close()))
	}
	l.unclean = l.unclean || elsewhere
	b, err := json.Marshal(holder{PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second), Boot: bootID()})
	if err == nil && l.unclean {
		// Holds until a node has run, whoever holds the home in between.
		err = writeFile(home, freshName, nil)
	}
	if err == nil {
		err = writeFile(home, holderFile, append(b, '\n'))
	}
	if err != nil {
		return nil, homeFailed(home, errors.Join(err, file.Close()))
	}
	return l, nil
}

// Unclean reports whether what was last said may be missing here: the computer
// stopped (a power failure, a reset) while a node was running on this home, or the
// home was restored from a backup, or copied, here or to another computer. A node that
// merely died has lost nothing. It stays so until Begin.
func (l *Lock) Unclean() bool { return l.unclean }

// Mark returns the mark of the latest Begin of an unclean home, 0 if there was
// none: logs of this device that end before it must not be gone on with.
func (l *Lock) Mark() chat.HLC { return l.mark }

// Begin notes that a node runs that has heeded Unclean: from now on, and in every
// later run, it opens new logs in place of those that end at mark or before. It
// does nothing on a home that was clean.
func (l *Lock) Begin(mark chat.HLC) error {
	if !l.unclean {
		return nil
	}
	return l.StartOver(mark)
}

// StartOver notes that logs of this device that end at mark or before must never be
// gone on with: they were opened under another certificate.
func (l *Lock) StartOver(mark chat.HLC) error {
	if err := writeFile(l.home, freshName, []byte(strconv.FormatUint(uint64(mark), 10)+"\n")); err != nil {
		return homeFailed(l.home, err)
	}
	l.unclean, l.mark = false, mark
	return nil
}

// readMark returns the mark of Begin; marked without one stands for an unclean home.
func readMark(home string) (mark chat.HLC, marked bool, err error) {
	b, err := readSmall(filepath.Join(home, freshName))
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 62)
	if err != nil { // empty, or damaged: new logs are always right
		return 0, true, nil
	}
	return chat.HLC(n), true, nil
}

// Release gives the home back. Everything in it must be stored and closed.
func (l *Lock) Release() error {
	err := os.Remove(filepath.Join(l.home, holderFile))
	if err = errors.Join(err, l.file.Close()); err != nil {
		return homeFailed(l.home, err)
	}
	return nil
}

func locked(home string, by holder, known bool) error {
	who := "Another Earshot"
	if known {
		who = fmt.Sprintf("Another Earshot (process %d, since %s)", by.PID, by.Since.Local().Format("2006-01-02 15:04"))
	}
	return chat.Errorf(chat.CodeHomeLocked, "%s is using the home %s. Use that one, stop it with `earshot stop`, or choose another home with --home.", who, home)
}

// readHolder returns who holds the home, or held it and did not release it. What
// can't be read counts as an unknown holder.
func readHolder(home string) (h holder, found bool) {
	b, err := readSmall(filepath.Join(home, holderFile))
	if err != nil {
		return h, !errors.Is(err, os.ErrNotExist)
	}
	if json.Unmarshal(b, &h) != nil {
		return holder{}, true
	}
	return h, true
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(b) > maxSmallFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxSmallFile)
	}
	return b, nil
}
