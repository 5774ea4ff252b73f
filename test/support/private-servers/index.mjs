export { startPostgres } from './postgres.mjs';
export { startMysql } from './mysql.mjs';
export { startRedis } from './redis.mjs';
export { answersMysql, answersPostgres, answersRedis } from './answers.mjs';
export { NotInstalledError } from './not-installed.mjs';
