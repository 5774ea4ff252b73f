import mysql from 'mysql2/promise';
import { mysqlPool } from 'nestjs-pools/mysql';
import { genericPoolOf, ours } from './contenders.mjs';

const uri = process.env.MYSQL_URL ?? 'mysql://root@127.0.0.1:3306/test';
const SQL = 'select 1';

/** @type {import('../upstreams.mjs').Kind} */
export const kind = {
  what: SQL,
  contenders(connections) {
    const definition = (options) => mysqlPool({ uri, maxConnections: connections, ...options });
    return [
      // What the peers do: nothing between two borrowers.
      () => ours("ours, reset: 'transactions'", definition({ reset: 'transactions' }), (pool) => pool.query(SQL)),
      () => ours('ours, a reset at every return', definition(), (pool) => pool.query(SQL), 'variant'),
      () => {
        const peer = mysql.createPool({ uri, connectionLimit: connections });
        return { name: "mysql2's pool", is: 'peer', call: () => peer.query(SQL), close: () => peer.end() };
      },
      () => {
        const create = () => mysql.createConnection(uri);
        return genericPoolOf(
          { create, destroy: (client) => client.end(), call: (client) => client.query(SQL) },
          connections,
        );
      },
    ];
  },
};
