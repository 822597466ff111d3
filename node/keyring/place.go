package keyring

import (
	"os"
	"path/filepath"
	"strings"
)

// placeName is the file that says where the home is. What is copied says where it was
// copied from.
const placeName = "place"

// unknown stands for a part of a place that can't be told, or not yet. It differs from
// nothing.
const unknown = "-"

// place names the machine and the files that a home consists of; a copy is elsewhere,
// and so is one whose history was put back from a copy.
func place(home string) string {
	parts := []string{machine()}
	for _, name := range []string{".", lockFile, historyFile} {
		parts = append(parts, fileNumber(filepath.Join(home, name)))
	}
	return strings.Join(parts, " ")
}

// moved reports whether a home is elsewhere than when it was last used, and notes where
// it is now.
func moved(home string) (bool, error) {
	now := place(home)
	b, err := readSmall(filepath.Join(home, placeName))
	if err != nil && !os.IsNotExist(err) {
		return false, err
	}
	was := strings.TrimSpace(string(b))
	if was == now {
		return false, nil
	}
	return err == nil && elsewhere(was, now), writeFile(home, placeName, []byte(now+"\n"))
}

func elsewhere(was, now string) bool {
	a, b := strings.Fields(was), strings.Fields(now)
	if len(a) != len(b) {
		return true // damaged: new logs are always right
	}
	for i := range a {
		if a[i] != b[i] && a[i] != unknown && b[i] != unknown {
			return true
		}
	}
	return false
}
