# Shows in zsh's prompt whether somebody is free: "● Ann available: lunch until 13:30".
# Say who in ~/.zshrc, by name, id or e-mail address, and read this file:
#
#	EARSHOT_PROMPT=ann@example.org
#	source ~/prompt.zsh
#
# %9v shows the ninth of psvar as it is: what others have written there expands to
# nothing.
earshot_prompt() {
	psvar[9]=$(earshot presence "$EARSHOT_PROMPT" --line 2>/dev/null)
}
precmd_functions+=(earshot_prompt)
PROMPT='%9v '$PROMPT
