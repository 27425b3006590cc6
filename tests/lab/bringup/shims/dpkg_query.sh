#!/bin/sh
# Stands for dpkg-query: the packages of a node are files of /var/lib/lab/packages with their version.
# The one rule: strict: -W with -f of package, version and status only; words as dpkg 1.22 has them.
format='${Package}\t${Version}\n'
names=
while [ $# -gt 0 ]; do
    case $1 in
        -W | --show) ;;
        -f | --showformat) format=$2; shift ;;
        -f=*) format=${1#-f=} ;;
        -f*) format=${1#-f} ;;
        --showformat=*) format=${1#*=} ;;
        -*) echo "dpkg-query: error: unknown option $1" >&2; exit 2 ;;
        *) names="$names $1" ;;
    esac
    shift
done
code=0
for name in $names; do
    if [ ! -e "/var/lib/lab/packages/$name" ]; then
        echo "dpkg-query: no packages found matching $name" >&2
        code=1
        continue
    fi
    version=$(cat "/var/lib/lab/packages/$name")
    printf '%s' "$format" | sed -e "s/\${Package}/$name/g" -e "s/\${Version}/$version/g" \
        -e 's/${db:Status-Status}/installed/g' -e 's/${Status}/install ok installed/g' | {
        IFS= read -r text || true
        printf '%b' "$text"
    }
done
exit $code
