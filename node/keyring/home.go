// Package keyring keeps who this node is: it finds the home directory, holds its
// lock, opens it by passphrase, system keyring or key file, and makes and reads the
// keys and the name in it, encrypted. It knows no network, nobody else's keys, and
// of the history only the key that it is encrypted under.
package keyring

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"earshot/chat"
)

// HomeVariable is the environment variable that names the home directory.
const HomeVariable = "EARSHOT_HOME"

// What stands in a home: ours, and the history, which is node/store's.
const (
	unlockName    = "unlock.json"    // the store key, wrapped
	keysName      = "keys.sealed"    // the person's and the device's keys
	profileName   = "profile.sealed" // the person's name
	lockFile      = "lock"
	holderFile    = "holder.json"
	freshName     = "fresh-logs" // which logs of this device are not gone on with; see Lock.Mark
	restoringName = "restoring"  // a backup is being restored, or was until it was cut short
	historyFile   = "history.db"

	// Of versions that did not encrypt.
	plainKeysName    = "keys.json"
	plainProfileName = "profile.json"
)

// Home returns the home directory's absolute path: flag, if it is not empty, else
// what EARSHOT_HOME says, else a directory among the platform's application data:
// $XDG_DATA_HOME/earshot or ~/.local/share/earshot, on macOS
// ~/Library/Application Support/Earshot, on Windows %LocalAppData%\Earshot. It
// makes nothing.
func Home(flag string) (string, error) {
	dir := flag
	if dir == "" {
		dir = os.Getenv(HomeVariable)
	}
	var err error
	if dir == "" {
		dir, err = platformHome(runtime.GOOS, os.Getenv, os.UserHomeDir)
	}
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return "", chat.Wrap(chat.CodeHomeBroken, err, "Earshot can't tell where to keep its keys and messages: "+err.Error()+".",
			"Name a directory with --home or in the environment variable "+HomeVariable+".")
	}
	return dir, nil
}

func platformHome(goos string, getenv func(string) string, userHome func() (string, error)) (string, error) {
	switch goos {
	case "windows":
		if dir := getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "Earshot"), nil
		}
		return "", errors.New("%LocalAppData% is not set")
	case "darwin":
		home, err := userHome()
		return filepath.Join(home, "Library", "Application Support", "Earshot"), err
	}
	// The XDG specification has relative paths ignored.
	if dir := getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "earshot"), nil
	}
	home, err := userHome()
	return filepath.Join(home, ".local", "share", "earshot"), err
}

// makeHome makes the directory, for its owner only. One that is there and open to
// others is closed to them if it is Earshot's or empty; another is refused,
// because it has a use of its own.
func makeHome(home string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return homeFailed(home, err)
	}
	info, err := os.Stat(home)
	if err != nil {
		return homeFailed(home, err)
	}
	if !openToOthers(info) {
		return nil
	}
	names, err := os.ReadDir(home)
	if err != nil {
		return homeFailed(home, err)
	}
	if len(names) > 0 && !exists(filepath.Join(home, lockFile)) && !exists(filepath.Join(home, plainKeysName)) {
		return chat.Errorf(chat.CodeHomeBroken, "The directory %s holds other things and others on this computer may look into it. "+
			"Give Earshot a directory of its own with --home.", home)
	}
	if err := os.Chmod(home, 0o700); err != nil {
		return chat.Wrap(chat.CodeHomeBroken, err, "Others on this computer may look into "+home+", and Earshot may not change that.",
			"Have its owner run: chmod 700 "+home)
	}
	return nil
}

// openToOthers reports whether anybody but the owner may read or change a file.
// Windows says so elsewhere: there a profile's directory is its owner's.
func openToOthers(info fs.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// homeFailed says what a failure of the file system in the home means.
func homeFailed(home string, err error) error {
	if diskFull(err) {
		return chat.Wrap(chat.CodeDiskFull, err, "The disk that holds "+home+" is full.", "Free some space, then start Earshot again.")
	}
	if readOnly(err) {
		return chat.Wrap(chat.CodeHomeBroken, err, "The disk that holds "+home+" takes no writes: it is read-only.",
			"Mount it for writing, or choose another home with --home.")
	}
	if errors.Is(err, fs.ErrPermission) {
		return chat.Wrap(chat.CodeHomeBroken, err, "Earshot may not write in its home "+home+".",
			"Make that directory writable for you, or choose another one with --home.")
	}
	return chat.Wrap(chat.CodeHomeBroken, err, "Earshot can't use its home "+home+": "+err.Error()+".",
		"Check that directory, or choose another one with --home.")
}

// writeFile writes a file that nobody but its owner may read, whole or not at all:
// after a crash at any moment there is the old file or the new one.
func writeFile(dir, name string, b []byte) error {
	f, err := os.CreateTemp(dir, name+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}
