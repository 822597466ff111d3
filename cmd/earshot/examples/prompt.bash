# Shows in bash's prompt whether somebody is free: "● Ann available: lunch until 13:30".
# Say who in ~/.bashrc, by name, id or e-mail address, and read this file:
#
#	EARSHOT_PROMPT=ann@example.org
#	source ~/prompt.bash
#
# What others have written is a value of a variable here, which bash shows and never
# runs.
earshot_prompt() {
	EARSHOT_LINE=$(earshot presence "$EARSHOT_PROMPT" --line 2>/dev/null)
	EARSHOT_LINE=${EARSHOT_LINE:+$EARSHOT_LINE }
}
PROMPT_COMMAND="earshot_prompt${PROMPT_COMMAND:+; $PROMPT_COMMAND}"
PS1='${EARSHOT_LINE}'$PS1
