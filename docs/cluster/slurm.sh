#!/usr/bin/env bash
#SBATCH --job-name=speech-emotion-search
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
# Start Ray on every node of the job, then tune.py with this script's arguments on the first. Submit from the project's root.
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
export RAY_AUTH_TOKEN

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}')

srun --nodes=1 --ntasks=1 -w "$head" --overlap \
    ray start --head --block --node-ip-address "$address" --port 6379 --num-cpus "$SLURM_CPUS_PER_TASK" &
sleep 20
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --nodes="$((SLURM_JOB_NUM_NODES - 1))" --ntasks="$((SLURM_JOB_NUM_NODES - 1))" --exclude "$head" --overlap \
        ray start --block --address "$address:6379" --num-cpus "$SLURM_CPUS_PER_TASK" &
    sleep 20
fi
srun --nodes=1 --ntasks=1 -w "$head" --overlap python scripts/tune.py --ray auto "$@"
