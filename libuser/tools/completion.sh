# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Completion for mboxctl in bash, installed as bash-completion/completions/mboxctl.
# It takes the commands, the options and the names of their arguments from the help
# texts of mboxctl, so that it needs no lists of its own.

# The mailboxes that begin with $2. Other users choose these names, so they are only
# compared and never expanded. Names that would need quotes are left out.
_mboxctl_mailboxes()
{
	local name

	while IFS= read -r name; do
		[[ $name == "$2"* && $name =~ ^[[:alnum:]_.,@%+][[:alnum:]_.,@%+-]*$ ]] &&
			COMPREPLY+=("$name")
	done < <("$1" ls --json 2>/dev/null | sed -n 's/^.*"name":"\([^"\\]*\)".*/\1/p')
}

# The columns of the table that command $2 prints, behind those that $3 has already.
_mboxctl_columns()
{
	local columns before=

	[[ $3 != *,* ]] || before=${3%,*},
	columns=$("$1" "$2" --help 2>/dev/null | sed -n 's/^  [* ] \([A-Z][A-Z-]*\)  .*/\1/p')
	mapfile -t COMPREPLY < <(compgen -P "$before" -W "$columns" -- "${3##*,}")
}

# What argument or operand $2, as the help calls it, can be, if it begins with $3.
_mboxctl_argument()
{
	case $2 in
	MAILBOX)
		_mboxctl_mailboxes "$1" "$3" ;;
	CAPACITY)
		mapfile -t COMPREPLY < <(compgen -W unbounded -- "$3") ;;
	COLUMN|COLUMNS)
		_mboxctl_columns "$1" "${COMP_WORDS[1]}" "$3" ;;
	OWNER)
		mapfile -t COMPREPLY < <(compgen -u -- "$3") ;;
	COMMAND)
		mapfile -t COMPREPLY < <(compgen -c -- "$3") ;;
	FILE|ARGUMENT)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$3") ;;
	esac
}

# $1 is the program, $2 the word to complete and $3 the word before it.
_mboxctl()
{
	local program=$1 current=$2 before=$3 command=${COMP_WORDS[1]}
	local -a options=() operands=()
	local -A argument=()
	local help line word i n=0

	COMPREPLY=()
	if [[ $COMP_CWORD == 1 || ($COMP_CWORD == 2 && $command == help) ]]; then
		help=$("$program" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
		mapfile -t COMPREPLY < <(compgen -W "$help --help --version" -- "$current")
		return
	fi
	help=$("$program" "$command" --help 2>/dev/null) || return
	while IFS= read -r line; do
		if [[ $line =~ ^'Usage: mboxctl '[a-z-]+' [OPTIONS]'(.*) ]]; then
			word=${BASH_REMATCH[1]//[\[\]]/}
			read -ra operands <<<"$word"
		elif [[ $line =~ ^'  '('   '|(-.),)' '(--[a-z-]+)(' '([A-Z]+))?'  ' ]]; then
			options+=("${BASH_REMATCH[3]}")
			argument[${BASH_REMATCH[3]}]=${BASH_REMATCH[5]}
			[[ -z ${BASH_REMATCH[2]} ]] ||
				argument[${BASH_REMATCH[2]}]=${BASH_REMATCH[5]}
		fi
	done <<<"$help"

	# bash makes three words of "--file=x" and of "id:5".
	if [[ $current == : || $before == : ]]; then
		return
	elif [[ $current == = ]]; then
		current=
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if [[ -n ${argument[${before:--}]-} ]]; then
		_mboxctl_argument "$program" "${argument[$before]}" "$current"
		return
	fi

	# How many operands come before.
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == [=:] || ${COMP_WORDS[i + 1]} != = && -n ${argument[${word:--}]-} ]]; then
			((i++))
		elif [[ $word != -* ]]; then
			((++n))
		fi
	done
	# Behind the mailbox, options are those of the command that serve runs.
	if [[ $current == -* && ! ($command == serve && $n -gt 0) ]]; then
		mapfile -t COMPREPLY < <(compgen -W "${options[*]}" -- "$current")
		return
	fi
	# The last operand may be one that can be repeated.
	word=${operands[n]-}
	[[ -n $word || ${operands[*]: -1} != *... ]] || word=${operands[*]: -1}
	_mboxctl_argument "$program" "${word%...}" "$current"
}

complete -F _mboxctl mboxctl
