package keyring

import (
	"os/user"
	"strings"

	"earshot/chat"
)

// systemName returns what the operating system calls the person: their full name,
// else the name they log in by.
func systemName() string {
	u, err := user.Current()
	if err != nil {
		return nobody
	}
	return pickName(u.Name, u.Username)
}

// nobody is the name of a person whom the system has none for.
const nobody = "Somebody"

func pickName(full, login string) string {
	// Windows puts the domain before the login, some directories behind it.
	login = login[strings.LastIndexByte(login, '\\')+1:]
	login, _, _ = strings.Cut(login, "@")
	// By an old custom of passwd files, & stands for the login with a capital.
	if strings.Contains(full, "&") && login != "" {
		full = strings.ReplaceAll(full, "&", strings.ToUpper(login[:1])+login[1:])
	}
	for _, name := range []string{full, login} {
		if strings.TrimSpace(name) == "" {
			continue
		}
		if clean := chat.CleanName(name); clean != chat.CleanName("") {
			return clean
		}
	}
	return nobody
}
