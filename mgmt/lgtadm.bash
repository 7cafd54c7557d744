# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Completion for lgtadm in bash.

_lgtadm_option() {
	# The value of the option named $1 or $2 on the command line so far.
	local i
	for ((i = 1; i < COMP_CWORD - 1; i++)); do
		if [[ ${COMP_WORDS[i]} == "$1" || ${COMP_WORDS[i]} == "$2" ]]; then
			printf '%s' "${COMP_WORDS[i + 1]}"
			return
		fi
	done
}

_lgtadm_ops() {
	case $(_lgtadm_option --mode -m) in
	system | sys) echo "show update stat delete" ;;
	target | tgt) echo "new delete show bind unbind update stat" ;;
	logicalunit | lu) echo "new delete update stat" ;;
	portal | pt) echo "new delete show" ;;
	session | sess) echo "stat" ;;
	connection | conn) echo "show delete stat" ;;
	account) echo "new delete show bind unbind" ;;
	lld) echo "show start stop" ;;
	*) echo "new delete show bind unbind update stat start stop" ;;
	esac
}

_lgtadm_keys() {
	case $(_lgtadm_option --mode -m)/$(_lgtadm_option --op -o) in
	system/stat | sys/stat) echo "cores" ;;
	system/show | sys/show) echo "version" ;;
	system/* | sys/*) echo "State debug login_timeout chap" ;;
	target/* | tgt/*)
		echo "state alias alua nop_interval nop_count MaxRecvDataSegmentLength
			MaxXmitDataSegmentLength HeaderDigest DataDigest InitialR2T ImmediateData
			MaxOutstandingR2T FirstBurstLength MaxBurstLength DefaultTime2Wait
			DefaultTime2Retain MaxQueueCmd"
		;;
	esac
}

_lgtadm_values() {
	case $(_lgtadm_option --name -n) in
	state | State) echo "ready offline" ;;
	# What bash hands over behind GROUP=.
	alua) [[ $1 == = ]] && echo "active-optimized active-non-optimized standby unavailable
		offline default" ;;
	esac
}

# What --params takes. "luns=" is a word of its own, and so is what follows: bash cuts words at '='.
_lgtadm_params() {
	case $(_lgtadm_option --mode -m)/$(_lgtadm_option --op -o) in
	target/bind | tgt/bind) echo "luns=" ;;
	target/unbind | tgt/unbind) echo "luns" ;;
	esac
}

_lgtadm() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words= named=
	COMPREPLY=()
	if [[ $cur == = ]]; then
		named=$prev prev=$cur cur=
	elif [[ $prev == = ]]; then
		named=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $prev in
	--mode | -m) words="system target logicalunit portal session connection account lld" ;;
	--op | -o) words=$(_lgtadm_ops) ;;
	--name | -n) words=$(_lgtadm_keys) ;;
	--value | -v) words=$(_lgtadm_values) ;;
	=)
		words=$(_lgtadm_values =)
		[[ $named == luns ]] && words="all all/ro none"
		;;
	--lld | -L) words="iscsi iser" ;;
	--bstype | -E) words="rdwr aio uring nvme mem null" ;;
	--bsoflags | -f) words="sync direct sync:direct" ;;
	--blocksize | -y) words="512 1024 2048 4096" ;;
	--device-type | -Y) words="disk cd" ;;
	--initiator-address | -I) words="ALL" ;;
	--params | -P)
		words=$(_lgtadm_params)
		[[ $words == *= ]] && compopt -o nospace
		;;
	--tid | -t)
		words=$(lgtadm --mode target --op show 2>/dev/null |
			sed -n 's/^Target \([0-9]*\):.*/\1/p')
		;;
	--user | -u)
		words=$(lgtadm --mode account --op show 2>/dev/null | sed -n 's/^    //p')
		;;
	--backing-store | -b)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	*)
		words="--mode --op --tid --sid --cid --lun --name --value --backing-store --bstype
			--bsopts --bsoflags --blocksize --targetname --initiator-address
			--initiator-name --user --password --force --params --device-type
			--outgoing --control-port --lld --json --debug --help --version"
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _lgtadm lgtadm
