#compdef mboxctl
# SPDX-License-Identifier: GPL-2.0-only
# Completion for mboxctl in zsh, installed as zsh/site-functions/_mboxctl. It takes
# the commands, the options and the names of their arguments from the help texts of
# mboxctl, so that it needs no lists of its own.

# What _arguments would read as a part of its syntax, with a backslash before it.
_mboxctl_quoted()
{
	REPLY=${1//(#m)[\[\]:\\]/\\$MATCH}
}

# The mailboxes. Other users choose these names; those that would need quotes are left
# out.
_mboxctl_mailboxes()
{
	local line
	local -a names

	for line in ${(f)"$($program ls --json 2>/dev/null |
		sed -n 's/^.*"name":"\([^"\\]*\)".*/\1/p')"}; do
		[[ $line =~ '^[[:alnum:]_.,@%+][[:alnum:]_.,@%+-]*$' ]] && names+=($line)
	done
	_wanted mailboxes expl mailbox compadd -a names
}

# The columns of the table that the command prints.
_mboxctl_columns()
{
	local -a columns

	columns=(${(f)"$($program $command --help 2>/dev/null |
		sed -n 's/^  [* ] \([A-Z][A-Z-]*\)  .*/\1/p')"})
	if [[ $1 == COLUMNS ]]; then
		_values -s , column $columns
	else
		_wanted columns expl column compadd -a columns
	fi
}

# The commands of mboxctl, with what they do.
_mboxctl_commands()
{
	local -a commands

	commands=(${(f)"$($program --help 2>/dev/null | sed -n \
		'/^Commands:/,/^$/s/^  \([a-z-]*\)  *\(.*\)/\1:\2/p')"})
	_describe -t commands command commands
}

# What argument or operand $1, as the help calls it, can be.
_mboxctl_argument()
{
	local expl

	case $1 in
	MAILBOX) _mboxctl_mailboxes ;;
	CAPACITY) _wanted capacities expl capacity compadd unbounded ;;
	COLUMN|COLUMNS) _mboxctl_columns $1 ;;
	OWNER) _users ;;
	COMMAND) [[ $command == help ]] && _mboxctl_commands || _command_names -e ;;
	FILE|ARGUMENT) _files ;;
	*) _message -e $1 ;;
	esac
}

_mboxctl()
{
	emulate -L zsh -o extended_glob
	local program=$words[1] command=$words[2] line row word curcontext=$curcontext REPLY
	local context state state_descr
	local -a specs operands
	local -A opt_args
	local -i n

	if ((CURRENT == 2)); then
		if [[ $PREFIX == -* ]]; then
			_arguments '--help[display this help and exit]' \
				'--version[output version information and exit]'
		else
			_mboxctl_commands
		fi
		return
	fi
	for line in ${(f)"$($program $command --help 2>/dev/null)"}; do
		if [[ $line == (#b)'Usage: mboxctl '[a-z-]##' [OPTIONS]'(*) ]]; then
			operands=(${=${match[1]//[\[\]]/}})
		elif [[ $line == (#b)'  '('   '|-?,)' '(--[a-z-]##)(' '([A-Z]##)|)'  '(*) ]]; then
			_mboxctl_quoted $match[5]
			row="[$REPLY]"
			[[ -z $match[4] ]] || row+=":$match[4]: _mboxctl_argument $match[4]"
			if [[ $match[1] == -* ]]; then
				word=${match[1]%,}
				specs+=("($word $match[2])$word${match[4]:++}$row")
				specs+=("($word $match[2])$match[2]${match[4]:+=}$row")
			else
				specs+=("$match[2]${match[4]:+=}$row")
			fi
		fi
	done
	((${#specs})) || return 1
	for word in $operands; do
		n+=1
		if [[ $command == serve && $n == 2 ]]; then
			# What is behind the mailbox is a command line of its own.
			specs+=('*:::COMMAND: _normal -p mboxctl')
			break
		fi
		row="${word%...}: _mboxctl_argument ${word%...}"
		[[ $word == *... ]] && specs+=("*:$row") || specs+=("$n:$row")
	done
	words=("${(@)words[2,-1]}")
	CURRENT+=-1
	_arguments -s -S $specs
}

_mboxctl "$@"
